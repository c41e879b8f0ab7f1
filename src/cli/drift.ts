import type { Command } from 'commander';
import type { DriftEvent, DriftHealReply } from '../protocol/messages.js';
import { Client } from './client.js';
import { ago, printJson, printTable } from './output.js';

/** `maru drift`: what others have changed on hosts, and whether it was put right. */
export function addDriftCommand(program: Command): void {
  const drift = program
    .command('drift [host]')
    .description(
      'List what was changed on hosts by other hands: what stands first. Exit code 1 when something stands',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
What is found changed is put right at once, unless the controller's configuration says 'report' for its kind
(drift: {router: report}); then it stays as it was found until its object is changed, or until it is healed here.

Examples:
  maru drift
  maru drift host1 --json
  maru drift heal host1 router/5f0b54c3-6d3f-4c53-8ea5-0f1e0f9d6b8e`,
    )
    .action(async (host: string | undefined, { json }: { json?: boolean }) => {
      const query = host ? `?host=${encodeURIComponent(host)}` : '';
      const { drift: found } = await new Client().get<{ drift: (DriftEvent & { host: string })[] }>(
        `/maru/v1/drift${query}`,
      );
      if (found.some(({ state }) => state === 'reported')) process.exitCode = 1;
      if (json) return printJson(found);
      if (found.length === 0) {
        process.stdout.write('Nothing was changed by other hands.\n');
        return;
      }
      printTable(
        ['host', 'object', 'seen', 'state', 'what was found'],
        found.map((one) => [
          one.host,
          one.object,
          ago(one.first_seen),
          one.healed_at ? `healed ${ago(one.healed_at)}` : 'STANDS',
          one.detail,
        ]),
      );
    });
  drift
    .command('heal <host> <object>')
    .description('Have the host put one object right, whatever the policy says')
    .addHelpText('after', '\nExamples:\n  maru drift heal host1 port/4b6f1f0e-…')
    .action(async (host: string, object: string) => {
      const { outcome, detail } = await new Client().request<DriftHealReply>(
        'POST',
        `/maru/v1/hosts/${encodeURIComponent(host)}/drift/heal`,
        { object },
      );
      if (outcome === 'healed') process.stdout.write(`${object} of host ${host} is as it should be again\n`);
      else {
        process.exitCode = 1;
        const why = outcome === 'unknown' ? 'nothing is known to be wrong with it' : detail;
        process.stdout.write(`${object} of host ${host} was not put right: ${why}\n`);
      }
    });
}
