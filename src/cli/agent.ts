import { type Command, Option } from 'commander';

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
    .option('--simulate', 'pretend: nothing on this machine is touched, and the host is marked as simulated')
    .addHelpText(
      'after',
      '\nExamples:\n  maru agent --config /etc/maru/maru.yaml\n  maru agent --join maru1.eyJ…',
    )
    .action(async ({ config, join, simulate }: { config: string; join?: string; simulate?: boolean }) => {
      // a name held in a variable keeps the agent out of the controller's program: it is loaded only here
      const entry = '../../agents/main.js';
      const { runAgent } = (await import(entry)) as {
        runAgent(config: string, options: { join?: string; simulate?: boolean }): Promise<void>;
      };
      await runAgent(config, { join, simulate });
    });
}
