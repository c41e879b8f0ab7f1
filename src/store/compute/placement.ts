import { type Selectable, sql } from 'kysely';
import { oneOf } from '../one-of.js';
import { nowText, type Reader, type Tx } from '../store.js';
import type { AllocationTable, InventoryTable } from '../tables/compute.js';

export type InventoryRow = Selectable<InventoryTable>;
export type AllocationRow = Selectable<AllocationTable>;

/** Inventory of a host with what is taken of it. */
export type Capacity = InventoryRow;

/** What a host offers of a resource class; how much of it is taken follows from the allocations. */
export type Inventory = Omit<InventoryRow, 'used'>;

/** From so many hosts on, reading all inventories is not slower than reading those of the hosts given. */
const MOST_ASKED = 1000;

/** Inventories with how much of each is allocated, by host and resource class: at least of the hosts given. */
export async function readCapacities(
  db: Reader,
  hostIds?: readonly string[],
): Promise<Map<string, Map<string, InventoryRow>>> {
  let query = db.selectFrom('inventory').selectAll();
  if (hostIds?.length === 0) return new Map();
  if (hostIds && hostIds.length < MOST_ASKED) query = query.where(oneOf(db, 'host_id', hostIds));
  const hosts = new Map<string, Map<string, InventoryRow>>();
  for (const row of await query.execute()) {
    const classes = hosts.get(row.host_id);
    if (classes) classes.set(row.resource_class, row);
    else hosts.set(row.host_id, new Map([[row.resource_class, row]]));
  }
  return hosts;
}

/** Replaces a host's inventories, whatever is allocated of them, and raises its generation. */
export async function writeInventories(tx: Tx, hostId: string, rows: readonly Inventory[]): Promise<void> {
  await tx
    .insertInto('resource_provider')
    .values({ host_id: hostId, generation: 1, updated_at: nowText() })
    .onConflict((c) =>
      c.column('host_id').doUpdateSet((eb) => ({
        generation: eb('resource_provider.generation', '+', 1),
        updated_at: nowText(),
      })),
    )
    .execute();
  const used = await readUsed(tx, hostId);
  await tx.deleteFrom('inventory').where('host_id', '=', hostId).execute();
  if (rows.length)
    await tx
      .insertInto('inventory')
      .values(rows.map((row) => ({ ...row, used: used.get(row.resource_class) ?? 0 })))
      .execute();
}

/** Gives a host the small number that old microversions call it by. */
export async function numberHost(tx: Tx, hostId: string): Promise<void> {
  await tx
    .insertInto('host_number')
    .values({ host_id: hostId, service_id: crypto.randomUUID(), forced_down: 0 })
    .onConflict((c) => c.column('host_id').doNothing())
    .execute();
}

/**
 * Locks a host's capacity until the transaction ends and raises its generation; false when the host has no inventory.
 * Claims count what is used only after this, so two of them never both take the last of it.
 */
export async function lockCapacity(tx: Tx, hostId: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('resource_provider')
    .set((eb) => ({ generation: eb('generation', '+', 1), updated_at: nowText() }))
    .where('host_id', '=', hostId)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** What is allocated of one host, by resource class. */
async function readUsed(db: Reader, hostId: string): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('allocation')
    .select(['resource_class', sql<number>`sum(used)`.as('used')])
    .where('host_id', '=', hostId)
    .groupBy('resource_class')
    .execute();
  return new Map(rows.map((row) => [row.resource_class, Number(row.used)]));
}

export async function readInventories(db: Reader, hostId: string): Promise<InventoryRow[]> {
  return await db
    .selectFrom('inventory')
    .selectAll()
    .where('host_id', '=', hostId)
    .orderBy('resource_class')
    .execute();
}

export async function insertAllocations(tx: Tx, rows: readonly AllocationRow[]): Promise<void> {
  if (rows.length)
    await tx
      .insertInto('allocation')
      .values([...rows])
      .execute();
}

/** Gives back what a consumer holds, on one host or everywhere; locks the hosts' capacity first, as claims do. */
export async function deleteAllocations(tx: Tx, consumerId: string, hostId?: string): Promise<void> {
  const held = await tx
    .selectFrom('allocation')
    .select('host_id')
    .distinct()
    .where('consumer_id', '=', consumerId)
    .orderBy('host_id')
    .execute();
  for (const { host_id } of held) {
    if (hostId !== undefined && host_id !== hostId) continue;
    await lockCapacity(tx, host_id);
    await tx
      .deleteFrom('allocation')
      .where('consumer_id', '=', consumerId)
      .where('host_id', '=', host_id)
      .execute();
  }
}

export async function allocationsOf(
  db: Reader,
  by: { readonly consumer_id: string } | { readonly host_id: string },
): Promise<AllocationRow[]> {
  const query = db.selectFrom('allocation').selectAll().orderBy('consumer_id').orderBy('resource_class');
  return 'consumer_id' in by
    ? await query.where('consumer_id', '=', by.consumer_id).execute()
    : await query.where('host_id', '=', by.host_id).execute();
}

/** Generations of the hosts that have inventories. */
export async function providerGenerations(db: Reader): Promise<Map<string, number>> {
  const rows = await db.selectFrom('resource_provider').select(['host_id', 'generation']).execute();
  return new Map(rows.map((row) => [row.host_id, row.generation]));
}

/** What a project (or one user of it) holds altogether, by resource class. */
export async function projectUsage(
  db: Reader,
  projectId: string,
  userId: string | null,
): Promise<{ consumers: number; used: Record<string, number> }> {
  let query = db
    .selectFrom('allocation')
    .select([
      'resource_class',
      sql<number>`sum(used)`.as('used'),
      sql<number>`count(distinct consumer_id)`.as('consumers'),
    ])
    .where('project_id', '=', projectId);
  if (userId !== null) query = query.where('user_id', '=', userId);
  const rows = await query.groupBy('resource_class').orderBy('resource_class').execute();
  return {
    consumers: Math.max(0, ...rows.map((row) => Number(row.consumers))),
    used: Object.fromEntries(rows.map((row) => [row.resource_class, Number(row.used)])),
  };
}
