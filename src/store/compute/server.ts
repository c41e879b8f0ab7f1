import type { Insertable, Selectable, Updateable } from 'kysely';
import { sql } from 'kysely';
import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
import type { ServerTable } from '../tables/compute.js';

export type ServerRow = Selectable<ServerTable>;
/** Columns to change. */
export type ServerChange = Updateable<ServerTable>;

/** Inserts a server; gives the row with the number that the database chose. */
export async function insertServer(tx: Tx, row: Insertable<ServerTable>): Promise<ServerRow> {
  return await tx.insertInto('server').values(row).returningAll().executeTakeFirstOrThrow();
}

/** A server that has not been deleted for good. */
export async function findServer(db: Reader, id: string): Promise<ServerRow | undefined> {
  return await db
    .selectFrom('server')
    .selectAll()
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
}

export async function findServers(db: Reader, ids: readonly string[]): Promise<ServerRow[]> {
  if (ids.length === 0) return [];
  return await db
    .selectFrom('server')
    .selectAll()
    .where(oneOf(db, 'id', ids))
    .execute();
}

/**
 * Reads a server and keeps others from changing it until the transaction ends (by writing it, which locks the row on
 * PostgreSQL; on SQLite the transaction has the only write lock anyway).
 */
export async function takeServer(tx: Tx, id: string): Promise<ServerRow | undefined> {
  return await tx
    .updateTable('server')
    .set((eb) => ({ revision: eb('revision', '+', 1) }))
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
}

/** Writes columns; only src/core/server/save.ts calls it, since status columns must go along. */
export async function writeServer(tx: Tx, id: string, values: ServerChange): Promise<void> {
  await tx.updateTable('server').set(values).where('id', '=', id).execute();
}

/** Raises the revision of servers after something shown with them changed elsewhere. */
export async function touchServers(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .updateTable('server')
    .set((eb) => ({ revision: eb('revision', '+', 1) }))
    .where('id', 'in', ids)
    .execute();
}

/** Servers, vCPUs and memory of a project that count against its quota. */
export async function countServerUse(
  db: Reader,
  projectId: string,
): Promise<{ instances: number; cores: number; ram: number }> {
  const row = await db
    .selectFrom('server')
    .select((eb) => [
      eb.fn.countAll<number>().as('instances'),
      sql<number>`coalesce(sum(vcpus), 0)`.as('cores'),
      sql<number>`coalesce(sum(memory_mb), 0)`.as('ram'),
    ])
    .where('project_id', '=', projectId)
    .where('delete_requested_at', 'is', null)
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow();
  return { instances: Number(row.instances), cores: Number(row.cores), ram: Number(row.ram) };
}

/** Servers that hosts should have: the ones they run, not those they are to destroy. */
export async function serversOfHosts(db: Reader, hostIds: readonly string[]): Promise<ServerRow[]> {
  return await db
    .selectFrom('server')
    .selectAll()
    .where(oneOf(db, 'host_id', hostIds))
    .where('deleted_at', 'is', null)
    .where('delete_requested_at', 'is', null)
    .orderBy('internal_id')
    .execute();
}

export async function tagsOfServers(db: Reader, ids: readonly string[]): Promise<Map<string, string[]>> {
  const tags = new Map<string, string[]>();
  if (ids.length === 0) return tags;
  const rows = await db
    .selectFrom('server_tag')
    .selectAll()
    .where(oneOf(db, 'server_id', ids))
    .orderBy('tag')
    .execute();
  for (const { server_id, tag } of rows) {
    const list = tags.get(server_id);
    if (list) list.push(tag);
    else tags.set(server_id, [tag]);
  }
  return tags;
}

export async function replaceTags(tx: Tx, serverId: string, tags: readonly string[]): Promise<void> {
  await tx.deleteFrom('server_tag').where('server_id', '=', serverId).execute();
  const rows = [...new Set(tags)].map((tag) => ({ server_id: serverId, tag }));
  if (rows.length) await tx.insertInto('server_tag').values(rows).execute();
}

/** Servers with this id or name in any project; for operators. */
export async function findServerAnywhere(db: Reader, idOrName: string): Promise<ServerRow[]> {
  return await db
    .selectFrom('server')
    .selectAll()
    .where((eb) => eb.or([eb('id', '=', idOrName), eb('name', '=', idOrName)]))
    .where('deleted_at', 'is', null)
    .limit(10)
    .execute();
}

/** Ids and names of the servers on each host. */
export async function serversByHost(db: Reader): Promise<Map<string, { id: string; name: string }[]>> {
  const rows = await db
    .selectFrom('server')
    .select(['id', 'name', 'host_id'])
    .where('host_id', 'is not', null)
    .where('deleted_at', 'is', null)
    .orderBy('internal_id')
    .execute();
  const hosts = new Map<string, { id: string; name: string }[]>();
  for (const { id, name, host_id } of rows) {
    const list = hosts.get(host_id!);
    if (list) list.push({ id, name });
    else hosts.set(host_id!, [{ id, name }]);
  }
  return hosts;
}
