import type { Command } from 'commander';
import type { ControllerSummary } from '../api/admin/controllers.js';
import { Client } from './client.js';
import { printJson, printTable } from './output.js';

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
      const { runController } = await import('../controller.js');
      await runController(config);
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
