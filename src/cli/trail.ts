import type { Command } from 'commander';
import type { Trail, TrailEntry } from '../core/trail/trail.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { printJson, printTable } from './output.js';

interface TrailOptions {
  limit?: string;
  json?: boolean;
}

const AFTER = `
Times are UTC; AFTER is the time since the line before. What a request led to can be followed by its id:
  maru logs --request req-…
Flavors, key pairs, quotas, users, projects and roles leave no trail, but each request that changed them is recorded:
  maru audit list --target ID`;

/** `maru trail KIND/ID`: what happened to an object, when, why and by which request. */
export function addTrailCommand(program: Command): void {
  program
    .command('trail <object>')
    .description(
      'Show what happened to an object, oldest first, also after it is gone: kind/id of a server, port, network, subnet, ' +
        'router, floating-ip, security-group, volume, image or host',
    )
    .option('--limit <n>', 'only the latest so many entries')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  maru trail router/5f0b54c3-6d3f-4c53-8ea5-0f1e0f9d6b8e
  maru trail host/host1 --limit 20
${AFTER}`,
    )
    .action(async (object: string, options: TrailOptions) => {
      if (!/^[a-z-]+\/.+$/.test(object))
        throw new CliError(`'${object}' is no kind/id, such as server/web1`, 2);
      await printTrail(object, options);
    });
}

/** `maru server trail ID`. */
export function addServerTrailCommand(server: Command): void {
  server
    .command('trail <server>')
    .description('Show what happened to a server, oldest first; by its id also after it is deleted')
    .option('--limit <n>', 'only the latest so many entries')
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExamples:\n  maru server trail web1\n${AFTER}`)
    .action(async (id: string, options: TrailOptions) => await printTrail(`server/${id}`, options));
}

async function printTrail(object: string, { limit, json }: TrailOptions): Promise<void> {
  if (limit !== undefined && !/^[1-9]\d{0,3}$/.test(limit))
    throw new CliError(`--limit ${limit} is no number of entries`, 2);
  const query = new URLSearchParams({ object, ...(limit ? { limit } : {}) });
  const { trail } = await new Client().get<{ trail: Trail }>(`/maru/v1/trail?${query}`);
  if (json) return printJson(trail);
  process.stdout.write(`${trail.object}${trail.more ? ': the latest entries; --limit shows more' : ''}\n\n`);
  printTable(
    ['time', 'after', 'what', 'host', 'request', 'detail'],
    trail.entries.map((entry) => [
      entry.at.replace('T', ' ').replace('Z', ''),
      entry.after === null ? '' : duration(entry.after),
      entry.what,
      entry.host,
      entry.request_id,
      detailOf(entry),
    ]),
  );
}

function detailOf({ detail, took, user_id, project_id, what }: TrailEntry): string {
  const by = what === 'action' && user_id ? ` (user ${user_id}, project ${project_id ?? '-'})` : '';
  return `${detail}${took === null ? '' : `, after ${duration(took)}`}${by}`;
}

/** `12 ms`, `3.4 s`, `5 min`, `2 h`, `4 d`. */
function duration(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}
