import type { Command } from 'commander';
import type { ControllerSummary } from '../api/admin/controllers.js';
import type { RunCommand } from '../protocol/log-source.js';
import { Client } from './client.js';
import { printJson, printTable } from './output.js';
import { startOrExplain } from './start-failure.js';

/** `maru controller`: runs the controller in the foreground; `maru controller list` shows those that share the hosts. */
export function addControllerCommand(program: Command): void {
  const controller = program
    .command('controller')
    .description('Run the controller: the APIs, the database, the scheduler, and what tells hosts what to do')
    .option('--config <file>', 'configuration file', '/etc/maru/maru.yaml')
    .addHelpText(
      'after',
      '\nExamples:\n  maru controller --config /etc/maru/maru.yaml\n  maru controller list',
    )
    .action(async ({ config }: { config: string }) => {
      await startOrExplain(
        'controller',
        async () => {
          const { runController } = await import('../controller.js');
          await runController(config, readCommand);
        },
        config,
      );
    });
  controller
    .command('list')
    .description('List the controllers on one PostgreSQL, and how many hosts each delivers to')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru controller list')
    .action(async ({ json }: { json?: boolean }) => {
      const { controllers } = await new Client().get<{ controllers: ControllerSummary[] }>(
        '/maru/v1/controllers',
      );
      if (json) return printJson(controllers);
      if (controllers.length === 0) {
        process.stdout.write('There is one controller: its database is SQLite.\n');
        return;
      }
      printTable(
        ['name', 'address', 'state', 'last heard of', 'hosts'],
        controllers.map((c) => [c.name, c.address, c.state, `${c.silence} s ago`, c.hosts]),
      );
    });
}

/** Commands are run by the agent's code alone, which a controller loads only when it has to read its journal. */
async function readCommand(command: string, args: readonly string[]): ReturnType<RunCommand> {
  const entry = '../../agents/host/real.js';
  const { RealHost } = (await import(entry)) as {
    RealHost: new () => {
      read(command: string, args: readonly string[], options: object): ReturnType<RunCommand>;
    };
  };
  return await new RealHost().read(command, args, { okCodes: [0, 1] });
}
