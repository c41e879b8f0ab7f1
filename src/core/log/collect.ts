import type { LogLine, LogQuery, LogReply } from '../../protocol/log-query.js';
import { requestsOfGlobal } from '../../store/audit.js';
import { findHostByName, type HostRow, listHosts } from '../../store/hosts.js';
import type { App } from '../app.js';
import { notFound } from '../errors.js';
import { otherControllers } from './others.js';

/** A line with the program that wrote it. */
export interface LogEntry {
  readonly program: 'controller' | 'agent';
  /** Name of the controller or host. */
  readonly host: string;
  readonly line: LogLine;
}

export interface CollectedLog {
  /** Oldest first. */
  readonly entries: readonly LogEntry[];
  /** Hosts and controllers whose lines are missing, and why. */
  readonly missing: readonly {
    readonly program: LogEntry['program'];
    readonly name: string;
    readonly reason: string;
  }[];
  /** There is more: ask for less at once. */
  readonly truncated: boolean;
}

/** Hosts asked at the same time. */
const AT_ONCE = 32;

/**
 * What this controller and the agents have logged that the query wants, merged by time; with a host's name only its agent's.
 * With `requestId`, only what is about that request, or those to which a client gave it as their global id. Every host is asked, also one that counts as down: it may be reached all the same, and if not it is named.
 */
export async function collectLogs(
  app: App,
  query: LogQuery,
  hostName: string | null,
  requestId: string | null = null,
): Promise<CollectedLog> {
  const missing: CollectedLog['missing'][number][] = [];
  const newest = new NewestEntries(query.limit);
  const take = (program: LogEntry['program'], name: string, reply: LogReply) => {
    newest.add(program, name, reply);
    if (reply.source === null) missing.push({ program, name, reason: KEEPS_NONE });
  };
  const ask = async (program: LogEntry['program'], name: string, find: () => Promise<LogReply>) => {
    try {
      take(program, name, await find());
    } catch (error) {
      missing.push({ program, name, reason: (error as Error).message });
    }
  };
  const hosts = await hostsToAsk(app, hostName);
  const requestIds = requestId === null ? [] : await requestsOf(app, requestId);
  const find = async (search: (query: LogQuery) => Promise<LogReply>) =>
    await findRequests(requestIds, query, search);
  const own =
    hostName === null
      ? ask('controller', app.config.name, () => find((one) => app.ownLog.find(one)))
      : Promise.resolve();
  await Promise.all([
    own,
    inTurns(hosts, (host) => ask('agent', host.name, () => find((one) => app.hosts.logs(host.id, one)))),
  ]);
  if (hostName === null)
    missing.push(...(await otherControllers(app, { requestId, objectIds: query.mentions })));
  return {
    entries: newest.entries,
    missing: missing.sort((a, b) => a.name.localeCompare(b.name)),
    truncated: newest.truncated,
  };
}

/** The newest of many replies' lines, oldest first; never more than `limit` are kept, however many hosts reply. */
export class NewestEntries {
  readonly #limit: number;
  #entries: readonly LogEntry[] = [];
  #truncated = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  /** Some were left out, here or where they come from. */
  get truncated(): boolean {
    return this.#truncated;
  }

  add(program: LogEntry['program'], host: string, { lines, truncated }: LogReply): void {
    const all = [...this.#entries, ...lines.map((line) => ({ program, host, line }))];
    // times in RFC 3339 and of one zone: their characters are in their order, whatever the language
    all.sort((a, b) => (a.line.time < b.line.time ? -1 : a.line.time > b.line.time ? 1 : 0));
    this.#truncated ||= truncated || all.length > this.#limit;
    this.#entries = all.slice(-this.#limit);
  }
}

/** Requests of one global id that are looked for; the latest. */
const MOST_REQUESTS = 20;

/** The id itself, and the own ids of changing requests that it is the global one of: tasks and hosts know only those. */
async function requestsOf(app: App, requestId: string): Promise<readonly string[]> {
  await app.audit.flush().catch(() => {});
  const own = await requestsOfGlobal(app.store.read, requestId, MOST_REQUESTS);
  return [...new Set([requestId, ...own])];
}

/** What one log has about any of the requests; lines about several of them once. */
async function findRequests(
  requestIds: readonly string[],
  query: LogQuery,
  search: (query: LogQuery) => Promise<LogReply>,
): Promise<LogReply> {
  if (requestIds.length === 0) return await search(query);
  const replies: LogReply[] = [];
  for (const [at, id] of requestIds.entries()) {
    const reply = await search({ ...query, mentions: [id, ...query.mentions] });
    const seen = (text: string) => requestIds.slice(0, at).some((earlier) => text.includes(earlier));
    replies.push({ ...reply, lines: reply.lines.filter((line) => !seen(JSON.stringify(line))) });
  }
  return {
    lines: replies.flatMap(({ lines }) => lines),
    truncated: replies.some(({ truncated }) => truncated),
    source: replies[0]!.source,
  };
}

const KEEPS_NONE =
  'it logs to a terminal or a pipe, where nothing can be read again; set log_file in its configuration';

async function hostsToAsk(app: App, name: string | null): Promise<readonly HostRow[]> {
  if (name === null) return await listHosts(app.store.read);
  const host = await findHostByName(app.store.read, name);
  if (!host) throw notFound(`There is no host '${name}'.`);
  return [host];
}

async function inTurns(hosts: readonly HostRow[], ask: (host: HostRow) => Promise<void>): Promise<void> {
  const waiting = [...hosts];
  const worker = async () => {
    for (let host = waiting.shift(); host; host = waiting.shift()) await ask(host);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
