import { type Command, Option } from 'commander';
import { CliError } from './error.js';
import { startOrExplain } from './start-failure.js';

/** `maru agent`: runs a host's agent in the foreground. */
export function addAgentCommand(program: Command): void {
  program
    .command('agent')
    .description("Run this host's agent: makes libvirt, disks and networking match what the controller wants")
    .option('--config <file>', 'configuration file', '/etc/maru/maru.yaml')
    // in the environment it is not in the list of processes
    .addOption(
      new Option('--join <token>', 'one-time token for the first contact (maru host token)').env(
        'MARU_JOIN_TOKEN',
      ),
    )
    .option('--join-only', 'join and end; the agent then starts without a token')
    .option('--simulate', 'pretend: nothing on this machine is touched, and the host is marked as simulated')
    .addHelpText(
      'after',
      '\nExamples:\n  maru agent --config /etc/maru/maru.yaml\n  maru agent --join maru1.eyJ…',
    )
    .action(async ({ config, join, joinOnly: ends, simulate }: AgentOptions) => {
      if (ends) return await joinAndEnd(config, join);
      // a name held in a variable keeps the agent out of the controller's program: it is loaded only here
      const entry = '../../agents/main.js';
      await startOrExplain(
        'agent',
        async () => {
          const { runAgent } = (await import(entry)) as {
            runAgent(config: string, options: { join?: string; simulate?: boolean }): Promise<void>;
          };
          await runAgent(config, { join, simulate });
        },
        config,
      );
    });
}

interface AgentOptions {
  readonly config: string;
  readonly join?: string;
  readonly joinOnly?: boolean;
  readonly simulate?: boolean;
}

async function joinAndEnd(config: string, token: string | undefined): Promise<void> {
  const entry = '../../agents/join.js';
  const { joinOnly } = (await import(entry)) as {
    joinOnly(config: string, token: string | undefined): Promise<string>;
  };
  try {
    process.stdout.write(`joined as ${await joinOnly(config, token)}\n`);
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}
