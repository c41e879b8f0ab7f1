import type { Command } from 'commander';
import type { CollectedLog, LogEntry } from '../core/log/collect.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { Follower } from './log-follow.js';
import { formatEntry, moment } from './log-lines.js';

interface Options {
  readonly request?: string;
  readonly server?: string;
  readonly host?: string;
  readonly since?: string;
  readonly level?: string;
  readonly limit?: string;
  readonly follow?: boolean;
  readonly json?: boolean;
}

const FOLLOW_MS = 1_000;

/** `maru logs`: what the controller and the agents have logged, together. */
export function addLogsCommand(program: Command): void {
  program
    .command('logs')
    .description('Show what the controller and the agents have logged about a request, a server, a host')
    .option(
      '--request <id>',
      'one request (req-…), by its own id or the one that its client gave: what the API, tasks and hosts did for it',
    )
    .option('--server <server>', 'lines that name this server (name or id)')
    .option('--host <host>', "only this host's agent")
    .option('--since <time>', 'from then on: 90s, 15min, 1h, 2d ago, or a time like 2026-01-31T12:00')
    .option('--level <level>', 'least weight: debug, info, warn, error')
    .option('--limit <lines>', 'at most so many lines, the newest')
    .option('--follow', 'go on with what is logged from now on, until Ctrl-C')
    .option('--json', 'print one JSON object a line')
    .addHelpText(
      'after',
      `
Commands that change a host are logged with the requests that they are run for; with log_level: debug, also those that
only read. Under systemd the lines are those of the journal of maru-controller and maru-agent on each host.

Examples:
  openstack server create … --debug 2>&1 | grep -o 'req-[0-9a-f-]*'
  maru logs --request req-8e3b4bd0-2b2f-4a5c-8f0a-3d9c5a1e6f11
  maru logs --server web1 --since 1h
  maru logs --host host2 --level warn --follow`,
    )
    .action(async (options: Options) => {
      const client = new Client();
      const filter = await readFilter(client, options);
      if (Object.keys(filter).length === 0 && !options.follow) {
        throw new CliError('of what? give --request, --server, --host, --since, --level or --follow', 2);
      }
      await (options.follow ? follow(client, filter, options) : show(client, filter, options));
    });
}

type Filter = Readonly<Record<string, string>>;

async function readFilter(client: Client, options: Options): Promise<Filter> {
  const filter: Record<string, string> = {};
  if (options.request !== undefined) {
    if (!/^req-[0-9a-f-]{36}$/.test(options.request))
      throw new CliError(`'${options.request}' is not the id of a request, such as req-8e3b4bd0-…`, 2);
    filter.request_id = options.request;
  }
  if (options.server !== undefined) filter.object_id = await serverId(client, options.server);
  if (options.host !== undefined) filter.host = options.host;
  if (options.since !== undefined) filter.since = moment(options.since).toISOString();
  if (options.level !== undefined) filter.level = options.level;
  if (options.limit !== undefined) filter.limit = options.limit;
  return filter;
}

async function show(client: Client, filter: Filter, { json }: Options): Promise<void> {
  const log = await read(client, filter);
  for (const entry of log.entries) print(entry, json === true);
  if (log.entries.length === 0 && !json) process.stdout.write('Nothing was logged about that.\n');
  tellMissing(log);
  if (log.truncated)
    process.stderr.write(
      'There is more than this: narrow it by --since, --host or --level, or raise --limit.\n',
    );
}

/** Looks again every second, from a little before the last line, and prints what it has not printed yet. */
async function follow(client: Client, filter: Filter, { json }: Options): Promise<void> {
  const follower = new Follower(filter.since ?? new Date().toISOString());
  let told = '';
  for (;;) {
    const log = await read(client, { ...filter, since: follower.since });
    for (const entry of follower.take(log)) print(entry, json === true);
    const said = JSON.stringify([log.missing, log.truncated]);
    if (said !== told) {
      tellMissing(log);
      if (log.truncated)
        process.stderr.write(
          'There is more than is shown: narrow it by --host or --level, or raise --limit.\n',
        );
    }
    told = said;
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
  }
}

async function read(client: Client, filter: Filter): Promise<CollectedLog> {
  return await client.get<CollectedLog>(`/maru/v1/logs?${new URLSearchParams(filter)}`);
}

function print(entry: LogEntry, json: boolean): void {
  const { program, host, line } = entry;
  if (json) process.stdout.write(`${JSON.stringify({ program, on: host, ...line })}\n`);
  else
    process.stdout.write(`${formatEntry(entry, process.stdout.isTTY === true && !process.env.NO_COLOR)}\n`);
}

function tellMissing({ missing }: CollectedLog): void {
  for (const { program, name, reason } of missing)
    process.stderr.write(`MISSING: ${program} ${name}: ${reason}\n`);
}

async function serverId(client: Client, server: string): Promise<string> {
  // of one that is deleted only the id is known
  if (/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(server)) return server;
  const query = new URLSearchParams({
    all_tenants: 'true',
    name: `^${server.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`,
  });
  const { servers } = await client.get<{ servers: { id: string; name: string }[] }>(
    `/compute/v2.1/servers?${query}`,
  );
  if (servers.length === 1) return servers[0]!.id;
  if (servers.length === 0)
    throw new CliError(`there is no server '${server}'; of a deleted one give the id`);
  throw new CliError(`${servers.length} servers have the name '${server}': give the id of one of them`);
}
