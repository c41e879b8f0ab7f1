import type { Heartbeat, HostFacts } from '../../protocol/messages.js';
import { programVersion } from '../../protocol/version.js';
import {
  capacityTotals,
  databaseSize,
  erroredServers,
  orphanCounts,
  stuckTasks,
} from '../../store/condition.js';
import { listControllers } from '../../store/controllers.js';
import { standingDrift } from '../../store/drift.js';
import { type HostRow, listHosts, tombstoneCounts } from '../../store/hosts.js';
import { findIncarnation } from '../../store/incarnation.js';
import { holdsByHost } from '../../store/network/hold.js';
import { hostLoads, resourceCounts } from '../../store/overview.js';
import { nowText } from '../../store/store.js';
import type { App } from '../app.js';
import { providerFindings } from '../network/provider-problems.js';
import { gravest, problemsOf } from './problems.js';
import { warningsOf } from './warnings.js';

/**
 * outage: something does not work now, or a host is cut off; failure: something was not done, or was done by other hands;
 * attention: it works, and will not for long, or waits for an operator.
 */
export type Gravity = 'outage' | 'failure' | 'attention';

export interface CloudProblem {
  readonly gravity: Gravity;
  /** What is the matter, with names and numbers. */
  readonly what: string;
  /** What to do: a command, mostly. */
  readonly advice: string;
}

/** The page of `maru status`. */
export interface CloudStatus {
  /** One line: how many problems of which gravity, or that nothing is wrong. */
  readonly summary: string;
  /** The gravest first. */
  readonly problems: readonly CloudProblem[];
  readonly warnings: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** Given out and there, of hosts that take servers. */
  readonly capacity: Readonly<Record<string, { readonly used: number; readonly total: number }>>;
  readonly database: { readonly kind: 'sqlite' | 'postgres'; readonly bytes: number };
  /** Of the controller that answered. */
  readonly version: string;
}

/** A host with what its liveness and its last heartbeat say. */
export interface SeenHost {
  readonly row: HostRow;
  readonly up: boolean;
  /** Silent for host_down_after. Neither up nor down: not heard of by this controller yet. */
  readonly down: boolean;
  readonly lastSeen: string | null;
  readonly facts: HostFacts | null;
  readonly usage: Heartbeat['usage'] | null;
  readonly guests: number;
  readonly faults: number;
  /** Why its specification does not reach it, and for how long (ms) that has been so. */
  readonly undelivered: { readonly reason: string; readonly ms: number } | null;
}

/** Everything that problems and warnings go by. */
export type Seen = Awaited<ReturnType<typeof look>>;

const MOST_SERVERS = 5;
const MOST_TASKS = 5;

/** What is wrong with the cloud, the gravest first; then what there is. One query for each kind of thing. */
export async function cloudStatus(app: App): Promise<CloudStatus> {
  const seen = await look(app);
  const provider = await providerFindings(app.store.read);
  const problems = [
    ...problemsOf(seen),
    ...provider.problems.map((one) => ({ gravity: 'failure' as const, ...one })),
  ];
  const sorted = gravest(problems);
  return {
    summary: summary(sorted, seen.hosts),
    problems: sorted,
    warnings: [...warningsOf(seen), ...provider.warnings],
    counts: await resourceCounts(app.store.read),
    capacity: Object.fromEntries(
      seen.capacity.map(({ resource_class, used, capacity }) => [resource_class, { used, total: capacity }]),
    ),
    database: { kind: app.store.dialect, bytes: seen.databaseBytes },
    version: seen.version,
  };
}

async function look(app: App) {
  const db = app.store.read;
  const loads = await hostLoads(db);
  const hosts = (await listHosts(db)).map((row) => seenHost(app, row, loads.get(row.id)));
  return {
    now: nowText(),
    version: programVersion(),
    hosts,
    controllers: await listControllers(db),
    incarnation: hosts.some(({ row }) => row.observe_only === 1) ? await findIncarnation(db) : null,
    authority: await app.hosts.authority.status(),
    tombstones: await tombstoneCounts(db),
    holds: await holdsByHost(db),
    drift: await standingDrift(db),
    orphans: await orphanCounts(db),
    errored: await erroredServers(db, MOST_SERVERS),
    tasks: await stuckTasks(db, nowText(), MOST_TASKS),
    capacity: await capacityTotals(db),
    databaseBytes: await databaseSize(db),
  };
}

function seenHost(
  app: App,
  row: HostRow,
  load: { readonly guests: number; readonly faults: number } | undefined,
): SeenHost {
  const silence = app.hosts.silence(row.id);
  const fault = app.hosts.deliveryFault(row.id);
  return {
    row,
    up: app.hosts.isUp(row.id),
    down: app.hosts.isDown(row.id),
    // the row's time is written once a minute; what this process knows is newer
    lastSeen: silence === null ? row.last_seen_at : new Date(Date.now() - silence).toISOString(),
    facts: row.facts ? (JSON.parse(row.facts) as HostFacts) : null,
    usage: row.usage ? (JSON.parse(row.usage) as Heartbeat['usage']) : null,
    guests: load?.guests ?? 0,
    faults: load?.faults ?? 0,
    undelivered: fault === null ? null : { reason: fault, ms: app.hosts.deliveryFailing(row.id) ?? 0 },
  };
}

function summary(problems: readonly CloudProblem[], hosts: readonly SeenHost[]): string {
  const up = hosts.filter((host) => host.up).length;
  const unheard = hosts.filter((host) => !host.up && !host.down).length;
  const where =
    `${up} of ${hosts.length} host${hosts.length === 1 ? '' : 's'} up` +
    (unheard > 0 ? `, ${unheard} not heard of by this controller yet` : '');
  if (problems.length === 0) return `Nothing is wrong; ${where}.`;
  const words: Readonly<Record<Gravity, readonly [one: string, more: string]>> = {
    outage: ['outage', 'outages'],
    failure: ['failure', 'failures'],
    attention: ['thing to look at', 'things to look at'],
  };
  const counted = Object.entries(words).flatMap(([gravity, [one, more]]) => {
    const count = problems.filter((problem) => problem.gravity === gravity).length;
    return count === 0 ? [] : [`${count} ${count === 1 ? one : more}`];
  });
  return `${counted.join(', ')}; ${where}.`;
}
