import type { Insertable, Selectable, Updateable } from 'kysely';
import type { ObjectBodies, ObjectKey, ObjectKind } from '../protocol/objects.js';
import { type HostLease, holdsHost } from './controllers.js';
import { releaseHost } from './network/hold.js';
import { oneOf } from './one-of.js';
import { nowText, type Reader, recordChange, type Tx } from './store.js';
import type { RemovedHostTable } from './tables/authority.js';
import type { HostTable, JoinTokenTable } from './tables/host.js';

export type HostRow = Selectable<HostTable>;

export async function findHost(db: Reader, id: string): Promise<HostRow | undefined> {
  return await db.selectFrom('host').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function findHosts(db: Reader, ids: readonly string[]): Promise<HostRow[]> {
  return await db
    .selectFrom('host')
    .selectAll()
    .where(oneOf(db, 'id', ids))
    .execute();
}

export async function findHostByName(db: Reader, name: string): Promise<HostRow | undefined> {
  return await db.selectFrom('host').selectAll().where('name', '=', name).executeTakeFirst();
}

export async function listHosts(db: Reader): Promise<HostRow[]> {
  return await db.selectFrom('host').selectAll().orderBy('name').execute();
}

export async function insertHost(tx: Tx, host: Insertable<HostTable>): Promise<void> {
  await tx.insertInto('host').values(host).execute();
  await recordChange(tx, 'host', host.id);
}

export async function updateHost(tx: Tx, id: string, values: Updateable<HostTable>): Promise<void> {
  await tx.updateTable('host').set(values).where('id', '=', id).execute();
}

/**
 * Changes what a host's certificates are known by, if that is still what `seen` says; false when another request was faster or the
 * host is gone.
 */
export async function replaceCertificate(
  tx: Tx,
  seen: Pick<HostRow, 'id' | 'certificate_fingerprint' | 'certificate_issue'>,
  values: Updateable<HostTable>,
): Promise<boolean> {
  const { id, certificate_fingerprint, certificate_issue } = seen;
  const { numUpdatedRows } = await tx
    .updateTable('host')
    .set(values)
    .where('id', '=', id)
    .where('certificate_fingerprint', isOrEquals(certificate_fingerprint), certificate_fingerprint)
    .where('certificate_issue', isOrEquals(certificate_issue), certificate_issue)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

function isOrEquals(value: unknown): 'is' | '=' {
  return value === null ? 'is' : '=';
}

/**
 * Removes a host and all that is known of it, but that it was removed: its certificates are worth nothing from now on. `lost`: what
 * was on it may still run there.
 */
export async function deleteHost(tx: Tx, id: string, lost = false): Promise<void> {
  // its own row first: a certificate that is issued meanwhile is either counted here or not given out
  const host = await tx
    .deleteFrom('host')
    .where('id', '=', id)
    .returning(['name', 'certificate_issue'])
    .executeTakeFirst();
  if (!host) return;
  await tx
    .insertInto('removed_host')
    .values({
      host_id: id,
      name: host.name,
      certificate_issue: host.certificate_issue ?? Date.now(),
      lost: lost ? 1 : 0,
      removed_at: nowText(),
    })
    .execute();
  for (const table of HOST_TABLES) await tx.deleteFrom(table).where('host_id', '=', id).execute();
  await releaseHost(tx, id);
}

/** Number of the last certificate that was issued for a name, also to a host that was removed since; 0: none. */
export async function lastIssue(db: Reader, name: string): Promise<number> {
  const known = await findHostByName(db, name);
  const removed = await findRemovedHosts(db, name);
  return Math.max(known?.certificate_issue ?? 0, ...removed.map((row) => row.certificate_issue));
}

/** Hosts of this name that were removed. */
export async function findRemovedHosts(db: Reader, name: string): Promise<Selectable<RemovedHostTable>[]> {
  return await db.selectFrom('removed_host').selectAll().where('name', '=', name).execute();
}

/** Tables whose rows are about a host and go with it. */
const HOST_TABLES = [
  'object_report',
  'tombstone',
  'orphan',
  'drift',
  'host_physical_network',
  'port_binding',
  'inventory',
  'allocation',
  'resource_provider',
  'host_number',
  'aggregate_host',
  'host_delivery',
  'host_contact',
  'router_withdrawal',
] as const;

/**
 * Reserves a block of sequence numbers, so that a push needs no write; gives the number before the block's first. Where several
 * controllers share the hosts, only the one that delivers to the host gets any: null for the others.
 */
export async function reserveSequences(
  tx: Tx,
  hostId: string,
  atLeast: number,
  count: number,
  lease: HostLease | null = null,
): Promise<number | null> {
  if (lease && !(await holdsHost(tx, hostId, lease))) return null;
  const row = await tx.selectFrom('host').select('sequence').where('id', '=', hostId).executeTakeFirst();
  const from = Math.max(row?.sequence ?? 0, atLeast);
  await updateHost(tx, hostId, { sequence: from + count });
  return from;
}

/** Aliases of the provider networks that a host is attached to, as its facts say. */
export async function setPhysicalNetworks(tx: Tx, hostId: string, names: readonly string[]): Promise<void> {
  await tx.deleteFrom('host_physical_network').where('host_id', '=', hostId).execute();
  if (names.length === 0) return;
  await tx
    .insertInto('host_physical_network')
    .values([...new Set(names)].map((physical_network) => ({ host_id: hostId, physical_network })))
    .execute();
}

export async function insertJoinToken(tx: Tx, token: Insertable<JoinTokenTable>): Promise<void> {
  await tx.deleteFrom('join_token').where('expires_at', '<', nowText()).execute();
  await tx.insertInto('join_token').values(token).execute();
}

export async function findJoinToken(
  db: Reader,
  hash: string,
): Promise<Selectable<JoinTokenTable> | undefined> {
  return await db.selectFrom('join_token').selectAll().where('hash', '=', hash).executeTakeFirst();
}

/** Forgets the unused tokens from before a time; gives how many there were. */
export async function deleteTokensBefore(tx: Tx, time: string): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('join_token')
    .where('created_at', '<', time)
    .where('used_at', 'is', null)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** Marks a token as used by this key; false when another request was faster. */
export async function useJoinToken(tx: Tx, hash: string, key: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('join_token')
    .set({ used_at: nowText(), used_by_key: key })
    .where('hash', '=', hash)
    .where('used_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * Asks a host to destroy a deleted server's or volume's data: in the host's spec until the host reports it gone. Call it in the
 * transaction that deletes the row or gives the host up.
 */
export async function addTombstone<K extends ObjectKind>(
  tx: Tx,
  hostId: string,
  kind: K,
  id: string,
  body: ObjectBodies[K],
  requestId: string | null,
): Promise<void> {
  const object_key: ObjectKey = `${kind}/${id}`;
  const values = {
    host_id: hostId,
    object_key,
    body: JSON.stringify(body),
    request_id: requestId,
    created_at: nowText(),
  };
  await tx
    .insertInto('tombstone')
    .values(values)
    .onConflict((conflict) => conflict.columns(['host_id', 'object_key']).doNothing())
    .execute();
  await recordChange(tx, 'tombstone', hostId, requestId);
}

export interface TombstoneRow {
  readonly object_key: ObjectKey;
  readonly body: string;
}

/** The tombstones of several hosts. */
export async function listTombstonesOfHosts(
  db: Reader,
  hostIds: readonly string[],
): Promise<(TombstoneRow & { readonly host_id: string })[]> {
  const rows = await db
    .selectFrom('tombstone')
    .select(['host_id', 'object_key', 'body'])
    .where(oneOf(db, 'host_id', hostIds))
    .execute();
  return rows as (TombstoneRow & { host_id: string })[];
}

export async function listTombstones(db: Reader, hostId: string): Promise<TombstoneRow[]> {
  const rows = await db
    .selectFrom('tombstone')
    .select(['object_key', 'body'])
    .where('host_id', '=', hostId)
    .orderBy('object_key')
    .execute();
  return rows as TombstoneRow[];
}

/** Tombstones of one object, on whatever host. */
export async function tombstonesOf(db: Reader, key: ObjectKey) {
  return await db
    .selectFrom('tombstone')
    .select(['host_id', 'body', 'created_at'])
    .where('object_key', '=', key)
    .orderBy('created_at')
    .execute();
}

/** How many tombstones each host has yet to see to, and since when the oldest waits. */
export async function tombstoneCounts(db: Reader): Promise<Map<string, { count: number; oldest: string }>> {
  const rows = await db
    .selectFrom('tombstone')
    .select((eb) => [
      'host_id',
      eb.fn.countAll<number>().as('count'),
      eb.fn.min<string>('created_at').as('oldest'),
    ])
    .groupBy('host_id')
    .execute();
  return new Map(rows.map(({ host_id, count, oldest }) => [host_id, { count: Number(count), oldest }]));
}

export async function deleteTombstones(
  tx: Tx,
  hostId: string,
  keys: readonly ObjectKey[],
): Promise<ObjectKey[]> {
  const rows = await tx
    .deleteFrom('tombstone')
    .where('host_id', '=', hostId)
    .where('object_key', 'in', keys)
    .returning('object_key')
    .execute();
  if (rows.length > 0) await recordChange(tx, 'tombstone', hostId);
  return rows.map((row) => row.object_key as ObjectKey);
}
