import type { Command } from 'commander';
import type { KnownOrphan } from '../core/host/orphans.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { ago, printJson, printTable } from './output.js';

/** `maru cleanup`: what hosts have and nothing names; removes one of them when told which. */
export function addCleanupCommand(program: Command): void {
  program
    .command('cleanup [host]')
    .description('List what hosts have that no object of the cloud names; it is kept until you remove it')
    .option('--remove <kind/name>', 'have the host remove exactly this one')
    .option('--destroy-data', 'needed to remove what holds data: domains, disks, files of volumes')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  maru cleanup
  maru cleanup host1 --remove bridge/brq4f6c1d2a-77
  maru cleanup host1 --remove server-disks/3541055f-a030-46f8-ba0d-be5c36852548 --destroy-data`,
    )
    .action(
      async (
        host: string | undefined,
        { remove, destroyData, json }: { remove?: string; destroyData?: boolean; json?: boolean },
      ) => {
        if (remove !== undefined) return await removeOne(host, remove, destroyData === true);
        if (destroyData) throw new CliError('--destroy-data needs --remove KIND/NAME', 2);
        const query = host ? `?host=${encodeURIComponent(host)}` : '';
        const { orphans } = await new Client().get<{ orphans: KnownOrphan[] }>(`/maru/v1/orphans${query}`);
        if (json) return printJson(orphans);
        if (orphans.length === 0) {
          process.stdout.write('Nothing is left over.\n');
          return;
        }
        printTable(
          ['host', 'kind/name', 'known', 'in the database', 'detail'],
          orphans.map((o) => [
            o.host,
            `${o.kind}/${o.name}`,
            o.since === null ? 'just now' : ago(o.since),
            o.database ?? 'nothing',
            o.detail,
          ]),
        );
        process.stdout.write(`\n${removalText(orphans)}`);
      },
    );
}

/** Kinds that hold data of tenants; agents refuse to remove these without being told so (agents/orphans.ts). */
const WITH_DATA = new Set(['domain', 'server-disks', 'volume-file']);
const MOST_COMMANDS = 20;

/** What removes each, to paste: what holds data apart, since it is gone for good then. */
export function removalText(orphans: readonly KnownOrphan[]): string {
  const withData = orphans.filter(({ kind }) => WITH_DATA.has(kind));
  const others = orphans.filter(({ kind }) => !WITH_DATA.has(kind));
  const commands = (some: readonly KnownOrphan[], more: string) => [
    ...some
      .slice(0, MOST_COMMANDS)
      .map(({ host, kind, name }) => `  maru cleanup ${host} --remove ${word(`${kind}/${name}`)}${more}`),
    ...(some.length > MOST_COMMANDS ? [`  … and ${some.length - MOST_COMMANDS} more in the same way`] : []),
  ];
  const lines = [
    'Each is kept until you remove it.',
    ...(others.length > 0 ? ['Without data of tenants:', ...commands(others, '')] : []),
    ...(withData.length > 0
      ? [
          'WITH DATA, which is gone for good then: look first whose it is and whether there is a copy',
          ...commands(withData, ' --destroy-data'),
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** As a shell takes it. */
function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

async function removeOne(host: string | undefined, what: string, destroy_data: boolean): Promise<void> {
  if (host === undefined)
    throw new CliError('--remove needs the host: maru cleanup HOST --remove KIND/NAME', 2);
  const [, kind, name] = /^([^/]+)\/(.+)$/.exec(what) ?? [];
  if (!kind || !name) throw new CliError(`'${what}' is not KIND/NAME, as maru cleanup lists it`, 2);
  await new Client().request('POST', `/maru/v1/hosts/${encodeURIComponent(host)}/orphans/remove`, {
    kind,
    name,
    destroy_data,
  });
  process.stdout.write(`${what} removed from host ${host}\n`);
}
