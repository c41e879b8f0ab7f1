import type { Command } from 'commander';
import type { ServerExplanation } from '../core/server/explain.js';
import { Client } from './client.js';
import { printFields, printJson, printTable } from './output.js';

/** `maru server explain`: where a server is, why there, and what holds it up. */
export function addServerCommands(program: Command): void {
  const server = program.command('server').description('Look into servers as an operator');
  server
    .command('explain <server>')
    .description('Show why a server is where and how it is: each host with the reasons for and against it')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  maru server explain web1\n  maru server explain 3541055f-a030-46f8-ba0d-be5c36852548 --json',
    )
    .action(async (id: string, { json }: { json?: boolean }) => {
      const { explanation } = await new Client().get<{ explanation: ServerExplanation }>(
        `/maru/v1/servers/${encodeURIComponent(id)}/explain`,
      );
      if (json) return printJson(explanation);
      printFields([
        ['server', `${explanation.name} (${explanation.id})`],
        ['status', explanation.status],
        ['host', explanation.host],
        ['wants', explanation.wants],
        ['fault', explanation.fault],
        ['on the host', explanation.observed],
      ]);
      process.stdout.write('\n');
      printTable(
        ['host', 'fits', 'weight', 'reasons'],
        explanation.hosts.map((h) => [h.name, h.fits ? 'yes' : 'no', h.weight, h.reasons.join('; ')]),
      );
    });
}
