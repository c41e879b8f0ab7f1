import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';

/** What the scheduler and the administrators' lists want to know about a host. */
export interface ComputeHost {
  readonly id: string;
  readonly name: string;
  readonly enabled: number;
  readonly disabled_reason: string | null;
  readonly observe_only: number;
  readonly underlay_ip: string;
  readonly facts: string | null;
  readonly usage: string | null;
  readonly last_seen_at: string | null;
  readonly created_at: string;
  readonly number: number | null;
  readonly service_id: string | null;
  readonly forced_down: number | null;
  readonly physical_networks: ReadonlySet<string>;
  /** Availability zones that aggregates put it into; empty: the default zone. */
  readonly zones: ReadonlySet<string>;
  /** Aggregates that it is in, with what they say of their hosts. */
  readonly aggregates: readonly {
    readonly name: string;
    readonly metadata: Readonly<Record<string, string>>;
  }[];
}

/** Hosts by name, with their physical networks, aggregates and zones: those given, or all; three queries. */
export async function computeHosts(db: Reader, ids?: readonly string[]): Promise<ComputeHost[]> {
  if (ids?.length === 0) return [];
  let hostRows = db
    .selectFrom('host')
    .leftJoin('host_number', 'host_number.host_id', 'host.id')
    .select([
      'host.id',
      'host.name',
      'host.enabled',
      'host.disabled_reason',
      'host.observe_only',
      'host.underlay_ip',
      'host.facts',
      'host.usage',
      'host.last_seen_at',
      'host.created_at',
      'host_number.number',
      'host_number.service_id',
      'host_number.forced_down',
    ]);
  let networkRows = db.selectFrom('host_physical_network').selectAll();
  let aggregateRows = db
    .selectFrom('aggregate_host')
    .innerJoin('aggregate', 'aggregate.id', 'aggregate_host.aggregate_id')
    .select([
      'aggregate_host.host_id',
      'aggregate.id',
      'aggregate.name',
      'aggregate.metadata',
      'aggregate.availability_zone',
    ]);
  if (ids) {
    hostRows = hostRows.where(oneOf(db, 'host.id', ids));
    networkRows = networkRows.where(oneOf(db, 'host_id', ids));
    aggregateRows = aggregateRows.where(oneOf(db, 'aggregate_host.host_id', ids));
  }
  const hosts = await hostRows.orderBy('host.name').execute();
  const networks = group(await networkRows.execute(), (row) => [row.host_id, row.physical_network]);
  const memberships = await aggregateRows.orderBy('aggregate.id').execute();
  const zones = group(
    memberships.filter((row) => row.availability_zone !== null),
    (row) => [row.host_id, row.availability_zone ?? ''],
  );
  const metadata = new Map(
    memberships.map((row) => [row.id, { name: row.name, metadata: JSON.parse(row.metadata) }]),
  );
  const aggregates = new Map<string, ComputeHost['aggregates'][number][]>();
  for (const { host_id, id } of memberships) {
    aggregates.set(host_id, [...(aggregates.get(host_id) ?? []), metadata.get(id)!]);
  }
  const none: ReadonlySet<string> = new Set();
  return hosts.map((host) => ({
    ...host,
    physical_networks: networks.get(host.id) ?? none,
    zones: zones.get(host.id) ?? none,
    aggregates: aggregates.get(host.id) ?? [],
  }));
}

/** The name of a host that is known; null for none. */
export async function hostName(db: Reader, id: string | null): Promise<string | null> {
  if (id === null) return null;
  const row = await db.selectFrom('host').select('name').where('id', '=', id).executeTakeFirst();
  return row?.name ?? null;
}

/** Names of hosts by id. */
export async function hostNames(db: Reader): Promise<Map<string, string>> {
  const rows = await db.selectFrom('host').select(['id', 'name']).execute();
  return new Map(rows.map((row) => [row.id, row.name]));
}

function group<T>(rows: readonly T[], pair: (row: T) => readonly [string, string]): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>();
  for (const row of rows) {
    const [key, value] = pair(row);
    const set = groups.get(key);
    if (set) set.add(value);
    else groups.set(key, new Set([value]));
  }
  return groups;
}

/** An operator's word that a host is down, whatever its heartbeat says. */
export async function setForcedDown(tx: Tx, hostId: string, down: boolean): Promise<void> {
  await tx
    .updateTable('host_number')
    .set({ forced_down: down ? 1 : 0 })
    .where('host_id', '=', hostId)
    .execute();
}
