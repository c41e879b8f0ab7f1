import type { Command } from 'commander';
import type { WhatIfAnswer } from '../core/scheduler/what-if.js';
import type { ServerExplanation } from '../core/server/explain.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { printFields, printJson, printTable } from './output.js';
import { headline } from './server-headline.js';
import { taskLines } from './task.js';
import { addServerTrailCommand } from './trail.js';

interface ExplainOptions {
  flavor?: string;
  image?: string;
  network: string[];
  port: string[];
  az?: string;
  host?: string;
  group?: string;
  sameHost: string[];
  differentHost: string[];
  count?: string;
  project?: string;
  json?: boolean;
}

/** `maru server explain`: where a server is, why there, and what holds it up; or where one would go. */
export function addServerCommands(program: Command): void {
  const server = program.command('server').description('Look into servers as an operator');
  server
    .command('explain [server]')
    .description(
      'Show why a server is where and how it is, each host with the reasons for and against it; or, with --flavor, ' +
        'where servers would go that do not exist yet. Nothing is changed',
    )
    .option('--flavor <flavor>', 'what if: size of the servers, by name or id')
    .option('--image <image>', 'what if: their image')
    .option('--network <network>', 'what if: a network they are plugged into; may be repeated', collect, [])
    .option('--port <port>', 'what if: a port they are plugged into; may be repeated', collect, [])
    .option('--az <zone>', 'what if: their availability zone')
    .option('--host <host>', 'what if: the only host that will do')
    .option('--group <group>', 'what if: their server group')
    .option('--same-host <server>', 'what if: on the host of this server; may be repeated', collect, [])
    .option('--different-host <server>', 'what if: not on the host of this server', collect, [])
    .option('--count <n>', 'what if: how many of them')
    .option('--project <project>', 'what if: whose they are')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  maru server explain web1
  maru server explain 3541055f-a030-46f8-ba0d-be5c36852548 --json
  maru server explain --flavor m1.large --image debian-12 --network private --count 3`,
    )
    .action(async (id: string | undefined, options: ExplainOptions) => {
      if (id !== undefined) {
        const other = Object.entries(options).find(([name, value]) => name !== 'json' && given(value));
        if (other)
          throw new CliError(
            `--${dashed(other[0])} is about servers that do not exist: leave '${id}' out`,
            2,
          );
        return await explainServer(id, options.json);
      }
      if (!options.flavor)
        throw new CliError('give a server, or --flavor to ask about one that does not exist', 2);
      await explainWhatIf(options.flavor, options);
    });
  addServerTrailCommand(server);
}

async function explainServer(id: string, json: boolean | undefined): Promise<void> {
  const { explanation } = await new Client().get<{ explanation: ServerExplanation }>(
    `/maru/v1/servers/${encodeURIComponent(id)}/explain`,
  );
  if (json) return printJson(explanation);
  const { placement, now } = explanation;
  process.stdout.write(`${headline(explanation).join('\n')}\n\n`);
  const fields: [name: string, value: unknown][] = [
    ['server', `${explanation.name} (${explanation.id})`],
    ['status', explanation.status],
    ['host', explanation.host],
    ['wants', explanation.wants],
    ['task', explanation.task && taskLines(explanation.task)],
    ['fault', explanation.fault],
    ['on the host', explanation.observed],
    ['owed', explanation.owed],
    [
      'last placed',
      placement &&
        `${placement.at}, ${placement.host ?? 'nowhere'}: ${placement.fitting} host(s) fitted, ${placement.refused} did not`,
    ],
  ];
  // what there is nothing to say about only takes room
  printFields(fields.filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)));
  if (explanation.hosts.length > 0) {
    process.stdout.write('\nWhen it was placed:\n');
    printHosts(explanation.hosts.map((h) => [h.name, yes(h.fits), h.weight, words(h.reasons)]));
  }
  if (!now) return;
  process.stdout.write(`\nPlaced now: ${now.because}\n`);
  printHosts(
    now.hosts.map((h) => [h.name, yes(h.fits), h.weight, h.fits ? parts(h.weights) : words(h.reasons)]),
  );
}

const MOST_HOSTS = 15;

/** Hosts as they are sorted, the best first; of many only the first. */
function printHosts(rows: readonly (readonly unknown[])[]): void {
  printTable(['host', 'fits', 'weight', 'reasons'], rows.slice(0, MOST_HOSTS));
  const more = rows.length - MOST_HOSTS;
  if (more > 0) process.stdout.write(`… and ${more} more host(s); --json has them all\n`);
}

async function explainWhatIf(flavor: string, options: ExplainOptions): Promise<void> {
  const count = Number(options.count ?? 1);
  if (!Number.isInteger(count) || count < 1)
    throw new CliError(`--count ${options.count} is no number of servers`, 2);
  const { explanation } = await new Client().request<{ explanation: WhatIfAnswer }>(
    'POST',
    '/maru/v1/placement/explain',
    {
      flavor,
      image: options.image ?? null,
      networks: options.network,
      ports: options.port,
      availability_zone: options.az ?? null,
      host: options.host ?? null,
      hints: {
        group: options.group ?? null,
        same_host: options.sameHost,
        different_host: options.differentHost,
      },
      project: options.project ?? null,
      count,
    },
  );
  if (options.json) return printJson(explanation);
  const { wants, quota, placements } = explanation;
  const where = Object.entries(placements).map(([host, n]) => `${n} on ${host}`);
  printFields([
    ['wants', `${count} × ${wants.flavor}: ${amounts(wants.resources)}`],
    ['first on', explanation.chosen ?? 'no host'],
    ['because', explanation.because],
    ['placed', `${explanation.placed} of ${count}${where.length ? `: ${where.join(', ')}` : ''}`],
    ['fit in all', explanation.total],
    ...(quota ? [['quota', `allows ${quota.allows} (${quota.words})`] as const] : []),
  ]);
  process.stdout.write('\n');
  printTable(
    ['host', 'fits', 'weight', 'room for', 'weights or reasons'],
    explanation.hosts.map((h) => [
      h.name,
      yes(h.fits),
      h.weight,
      h.room,
      h.fits ? parts(h.weights) : words(h.reasons),
    ]),
  );
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function given(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined;
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function yes(fits: boolean): string {
  return fits ? 'yes' : 'no';
}

function words(reasons: readonly { readonly predicate: string; readonly reason: string }[]): string {
  return reasons.map(({ predicate, reason }) => `${predicate}: ${reason}`).join('; ');
}

function parts(weights: Readonly<Record<string, number>>): string {
  return Object.entries(weights)
    .map(([name, weight]) => `${name} ${weight.toFixed(2)}`)
    .join(', ');
}

const UNITS: Readonly<Record<string, string>> = {
  VCPU: 'vCPU',
  MEMORY_MB: 'MB of memory',
  DISK_GB: 'GB of disk',
};

function amounts(resources: Readonly<Record<string, number>>): string {
  return Object.entries(resources)
    .map(([name, amount]) => `${amount} ${UNITS[name] ?? name}`)
    .join(', ');
}
