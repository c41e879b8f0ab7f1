import type { Command } from 'commander';
import type { CloudStatus } from '../api/admin/views.js';
import { Client } from './client.js';
import { printJson, printTable } from './output.js';

/** `maru status`: what is wrong, first; then what there is. */
export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('Show what is wrong first, then what there is. Exit code 1 when something is wrong')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru status\n  maru status --json')
    .action(async ({ json }: { json?: boolean }) => {
      const { status } = await new Client().get<{ status: CloudStatus }>('/maru/v1/status');
      if (status.problems.length > 0) process.exitCode = 1;
      if (json) return printJson(status);
      if (status.problems.length === 0) process.stdout.write('Nothing is wrong.\n');
      for (const problem of status.problems) {
        process.stdout.write(`PROBLEM  ${problem.what}\n         ${problem.advice}\n`);
      }
      for (const warning of status.warnings) process.stdout.write(`warning  ${warning}\n`);
      process.stdout.write('\n');
      printTable(
        ['', 'count'],
        Object.entries(status.counts).map(([name, count]) => [name, count]),
      );
    });
}
