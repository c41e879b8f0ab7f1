import type { Insertable, Selectable, Updateable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { AggregateTable } from '../tables/compute.js';

/** An aggregate with its hosts. */
export interface Aggregate extends Selectable<AggregateTable> {
  readonly hosts: readonly { readonly id: string; readonly name: string }[];
}

export async function listAggregates(db: Reader): Promise<Aggregate[]> {
  const rows = await db.selectFrom('aggregate').selectAll().orderBy('id').execute();
  const members = await db
    .selectFrom('aggregate_host')
    .innerJoin('host', 'host.id', 'aggregate_host.host_id')
    .select(['aggregate_host.aggregate_id', 'host.id', 'host.name'])
    .orderBy('host.name')
    .execute();
  return rows.map((row) => ({
    ...row,
    hosts: members.filter(({ aggregate_id }) => aggregate_id === row.id),
  }));
}

export async function findAggregate(db: Reader, id: number): Promise<Aggregate | undefined> {
  return (await listAggregates(db)).find((aggregate) => aggregate.id === id);
}

export async function insertAggregate(tx: Tx, row: Insertable<AggregateTable>): Promise<number> {
  return (await tx.insertInto('aggregate').values(row).returning('id').executeTakeFirstOrThrow()).id;
}

export async function updateAggregateRow(
  tx: Tx,
  id: number,
  values: Updateable<AggregateTable>,
): Promise<void> {
  await tx.updateTable('aggregate').set(values).where('id', '=', id).execute();
}

export async function deleteAggregateRow(tx: Tx, id: number): Promise<void> {
  await tx.deleteFrom('aggregate').where('id', '=', id).execute();
}

export async function addAggregateHost(tx: Tx, id: number, hostId: string): Promise<void> {
  await tx.insertInto('aggregate_host').values({ aggregate_id: id, host_id: hostId }).execute();
}

export async function removeAggregateHost(tx: Tx, id: number, hostId: string): Promise<void> {
  await tx
    .deleteFrom('aggregate_host')
    .where('aggregate_id', '=', id)
    .where('host_id', '=', hostId)
    .execute();
}
