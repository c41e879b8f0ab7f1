import type { Command } from 'commander';
import { CliError } from './error.js';
import { printFields, printJson } from './output.js';

/** `maru lab …`: a whole cloud in network namespaces of this machine, for trying and testing. */
export function addLabCommands(program: Command): void {
  const lab = program
    .command('lab')
    .description('A whole cloud in network namespaces of this machine, for trying and testing')
    .enablePositionalOptions();
  const named = (name: string, text: string) =>
    lab
      .command(name)
      .description(text)
      .option('--name <lab>', 'which lab: maru-lab, or maru-lab-SUFFIX', 'maru-lab');

  named('up', 'Start the lab, or what is missing of it')
    .option('--hosts <n>', 'hosts of the cloud (a new lab has 1)', Number)
    .option('--api-port <port>', 'the API answers on 127.0.0.1 at this port (a new lab: 5000)', Number)
    .option('--database <url>', "the controller's database, e.g. postgres://… (a new lab: SQLite)")
    .addHelpText(
      'after',
      '\nExamples:\n  maru lab up --hosts 2\n  maru lab up --name maru-lab-b --api-port 5001',
    )
    .action(async ({ name, hosts, apiPort, database }: UpOptions) => {
      await failuresSaid(async (parts) => {
        const { settings } = await parts.labUp(
          parts.labNames(name),
          { hosts, apiPort, database },
          parts.printStep,
        );
        process.stdout.write(`lab ${name} is up: http://127.0.0.1:${settings.apiPort}\n`);
      });
    });

  named('down', 'Remove every trace of the lab: processes, namespaces, mounts, state')
    .addHelpText('after', '\nExamples:\n  maru lab down')
    .action(async ({ name }: { name: string }) => {
      await failuresSaid(async (parts) => {
        const names = parts.labNames(name);
        await parts.locked(names, () => parts.labDown(names));
        process.stdout.write(`lab ${name} is gone\n`);
      });
    });

  named('status', 'Show what runs; exit code 1 when something that should run does not')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru lab status --json')
    .action(async ({ name, json }: { name: string; json?: boolean }) => {
      await failuresSaid(async (parts) => {
        const status = await parts.labStatus(parts.labNames(name));
        if (!status) throw new CliError(`there is no lab ${name}; start it: maru lab up`);
        if (!status.running) process.exitCode = 1;
        if (json) return printJson(status);
        const program = (p: { pid: number | null; restarts: number; lastExit: string | null } | null) =>
          p
            ? `pid ${p.pid ?? '-'}, ${p.restarts} restart(s)${p.lastExit ? `, ended last by ${p.lastExit}` : ''}`
            : 'not running';
        printFields([
          ['lab', `${status.name}${status.running ? '' : ' (NOT all running)'}`],
          ['endpoint', status.endpoint],
          ['supervisor', status.supervisor ? `pid ${status.supervisor}` : 'not running'],
          ['controller', program(status.controller)],
          ...status.hosts.map(
            (h) =>
              [
                h.name,
                `init ${h.init_pid ? `pid ${h.init_pid}` : 'not running'}; agent ${program(h.agent)}`,
              ] as const,
          ),
          ['namespaces', status.namespaces.join(', ')],
          ['clouds.yaml', status.files.clouds],
          ['logs', status.files.logs],
        ]);
      });
    });

  named('restart <program>', 'Restart controller or agent-hostN, as systemctl restart would')
    .addHelpText('after', '\nExamples:\n  maru lab restart controller\n  maru lab restart agent-host1')
    .action(async (target: string, { name }: { name: string }) => {
      await failuresSaid((parts) => parts.restartProgram(parts.labNames(name), target));
    });

  named(
    'exec <place> <command...>',
    'Run a command in a part of the lab: outside (the world), ctl, or a host',
  )
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  maru lab exec outside -- ping -c 3 203.0.113.20\n  maru lab exec host1 -- virsh list\n  maru lab exec host1 -- bash',
    )
    .action(async (place: string, command: string[], { name }: { name: string }) => {
      await failuresSaid(async (parts) => {
        process.exitCode = await parts.labExec(parts.labNames(name), place, command);
      });
    });
}

interface UpOptions {
  readonly name: string;
  readonly hosts?: number;
  readonly apiPort?: number;
  readonly database?: string;
}

/** The lab is loaded only by its own commands: on real hosts it is never needed. */
async function loadParts() {
  const [names, up, down, status, control, exec, steps] = await Promise.all([
    import('../../scripts/lab/names.js'),
    import('../../scripts/lab/up.js'),
    import('../../scripts/lab/down.js'),
    import('../../scripts/lab/status.js'),
    import('../../scripts/lab/control.js'),
    import('../../scripts/lab/exec.js'),
    import('../../scripts/lab/steps.js'),
  ]);
  return { ...names, ...up, ...down, ...status, ...control, ...exec, ...steps };
}

/** What went wrong in the lab is the machine's doing, not a defect of the program: the message without a stack trace. */
async function failuresSaid(
  work: (parts: Awaited<ReturnType<typeof loadParts>>) => Promise<void>,
): Promise<void> {
  try {
    await work(await loadParts());
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}
