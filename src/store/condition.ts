import { SqliteAdapter, sql } from 'kysely';
import type { Reader } from './store.js';

/** The first few of something, and how many there are altogether. */
export interface Few<T> {
  readonly rows: readonly T[];
  readonly total: number;
}

export interface ErroredServer {
  readonly id: string;
  readonly name: string;
  readonly host_id: string | null;
  /** JSON of the reason. */
  readonly fault: string | null;
}

/** Servers in ERROR, the latest first. */
export async function erroredServers(db: Reader, limit: number): Promise<Few<ErroredServer>> {
  const rows = await db
    .selectFrom('server')
    .select((eb) => ['id', 'name', 'host_id', 'fault', eb.fn.countAll<number>().over().as('total')])
    .where('deleted_at', 'is', null)
    .where('status', '=', 'ERROR')
    .orderBy('updated_at', 'desc')
    .orderBy('id')
    .limit(limit)
    .execute();
  return few(rows);
}

export interface StuckTask {
  readonly id: string;
  readonly kind: string;
  readonly object_kind: string;
  readonly object_id: string;
  /** Name of the server that it is about, if it is about one. */
  readonly server: string | null;
  readonly step: string;
  readonly deadline: string | null;
  readonly error: string | null;
  readonly waiting_for: string | null;
}

/** Unfinished tasks that are past their deadline, or whose last attempt failed; the longest overdue first. */
export async function stuckTasks(db: Reader, now: string, limit: number): Promise<Few<StuckTask>> {
  const rows = await db
    .selectFrom('task')
    .leftJoin('server', (join) =>
      join.onRef('server.id', '=', 'task.object_id').on('task.object_kind', '=', 'server'),
    )
    .select((eb) => [
      'task.id',
      'task.kind',
      'task.object_kind',
      'task.object_id',
      'server.name as server',
      'task.step',
      'task.deadline',
      'task.error',
      'task.waiting_for',
      eb.fn.countAll<number>().over().as('total'),
    ])
    .where('task.finished_at', 'is', null)
    .where((eb) => eb.or([eb('task.deadline', '<', now), eb('task.error', 'is not', null)]))
    .orderBy((eb) => eb.fn.coalesce('task.deadline', sql<string>`'9999'`))
    .orderBy('task.id')
    .limit(limit)
    .execute();
  return few(rows);
}

/** How many things each host has that nothing names, and since when the oldest is known. */
export async function orphanCounts(db: Reader): Promise<Map<string, { count: number; oldest: string }>> {
  const rows = await db
    .selectFrom('orphan')
    .select((eb) => [
      'host_id',
      eb.fn.countAll<number>().as('count'),
      eb.fn.min<string>('first_seen').as('oldest'),
    ])
    .groupBy('host_id')
    .execute();
  return new Map(rows.map(({ host_id, count, oldest }) => [host_id, { count: Number(count), oldest }]));
}

/** What hosts have altogether of each resource class, and what of it is given out. Disabled hosts do not count. */
export async function capacityTotals(
  db: Reader,
): Promise<{ resource_class: string; capacity: number; used: number }[]> {
  const rows = await db
    .selectFrom('inventory')
    .innerJoin('host', 'host.id', 'inventory.host_id')
    .select((eb) => [
      'inventory.resource_class',
      eb.fn.sum<number>('inventory.capacity').as('capacity'),
      eb.fn.sum<number>('inventory.used').as('used'),
    ])
    .where('host.enabled', '=', 1)
    .groupBy('inventory.resource_class')
    .orderBy('inventory.resource_class')
    .execute();
  return rows.map((row) => ({ ...row, capacity: Number(row.capacity), used: Number(row.used) }));
}

/** Bytes that the database takes. */
export async function databaseSize(db: Reader): Promise<number> {
  const sqlite = db.getExecutor().adapter instanceof SqliteAdapter;
  const query = sqlite
    ? sql<{
        bytes: number;
      }>`select page_count * page_size as bytes from pragma_page_count(), pragma_page_size()`
    : sql<{ bytes: number }>`select pg_database_size(current_database())::float8 as bytes`;
  return Number((await query.execute(db)).rows[0]?.bytes ?? 0);
}

function few<T extends { readonly total: number }>(rows: readonly T[]): Few<Omit<T, 'total'>> {
  return { rows: rows.map(({ total, ...row }) => row), total: Number(rows[0]?.total ?? 0) };
}
