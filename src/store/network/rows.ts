import { sql } from 'kysely';
import { oneOf } from '../one-of.js';
import { nowText, type Reader, type Tx } from '../store.js';
import type { NetworkTables } from '../tables/network.js';

/** Tables whose rows have an id, a revision number and times. */
export type ResourceTable =
  | 'network'
  | 'subnet'
  | 'port'
  | 'router'
  | 'floating_ip'
  | 'security_group'
  | 'security_group_rule';

export type ResourceRow<T extends ResourceTable> = NetworkTables[T];

/** What the store fills in by itself. */
type Stamped = 'revision_number' | 'created_at' | 'updated_at';

export type NewRow<T extends ResourceTable> = Omit<ResourceRow<T>, Stamped>;

/**
 * Inserts a row; null when a unique index says that what it claims (address, MAC, segment …) is taken. The transaction
 * stays usable either way, so that the caller can try another value.
 */
export async function insertRow<T extends ResourceTable>(
  tx: Tx,
  table: T,
  row: NewRow<T>,
): Promise<ResourceRow<T> | null> {
  const now = nowText();
  const values = { ...row, revision_number: 1, created_at: now, updated_at: now };
  const inserted = await tx
    .insertInto(table as 'network')
    .values(values as unknown as NetworkTables['network'])
    .onConflict((c) => c.doNothing())
    .returningAll()
    .executeTakeFirst();
  return (inserted as ResourceRow<T> | undefined) ?? null;
}

export async function findRow<T extends ResourceTable>(
  db: Reader,
  table: T,
  id: string,
): Promise<ResourceRow<T> | null> {
  const row = await db
    .selectFrom(table as 'network')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst();
  return (row as ResourceRow<T> | undefined) ?? null;
}

export async function findRows<T extends ResourceTable>(
  db: Reader,
  table: T,
  ids: readonly string[],
): Promise<ResourceRow<T>[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom(table as 'network')
    .selectAll()
    .where(oneOf(db, 'id', ids))
    .execute();
  return rows as unknown as ResourceRow<T>[];
}

/** Changes columns of a row, raises its revision and returns it as it is then; null when it is gone. */
export async function updateRow<T extends ResourceTable>(
  tx: Tx,
  table: T,
  id: string,
  changes: Partial<NewRow<T>>,
): Promise<ResourceRow<T> | null> {
  const row = await tx
    .updateTable(table as 'network')
    .set({
      ...(changes as object),
      updated_at: nowText(),
      revision_number: sql<number>`revision_number + 1`,
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  return (row as ResourceRow<T> | undefined) ?? null;
}

/** True when there was such a row. */
export async function deleteRow(tx: Tx, table: ResourceTable, id: string): Promise<boolean> {
  const result = await tx
    .deleteFrom(table as 'network')
    .where('id', '=', id)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** How many rows a project has: what quotas count. */
export async function countRows(db: Reader, table: ResourceTable, projectId: string): Promise<number> {
  const row = await db
    .selectFrom(table as 'network')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('project_id', '=', projectId)
    .executeTakeFirstOrThrow();
  return Number(row.n);
}
