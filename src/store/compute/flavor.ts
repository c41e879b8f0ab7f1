import type { Selectable, Updateable } from 'kysely';
import { applyList, type ListOptions } from '../list.js';
import type { Reader, Tx } from '../store.js';
import type { FlavorTable } from '../tables/compute.js';

export type FlavorRow = Selectable<FlavorTable>;

export interface FlavorListOptions extends ListOptions {
  /** true: public ones; false: private ones; null: all. */
  readonly isPublic: boolean | null;
  /** Project whose accessible private flavors are shown too; null: none needed (administrators asking for all). */
  readonly accessibleTo: string | null;
  readonly minDisk: number;
  readonly minRam: number;
}

export async function insertFlavor(tx: Tx, row: FlavorRow): Promise<void> {
  await tx.insertInto('flavor').values(row).execute();
}

export async function updateFlavor(tx: Tx, id: string, values: Updateable<FlavorTable>): Promise<void> {
  await tx.updateTable('flavor').set(values).where('id', '=', id).execute();
}

export async function deleteFlavorRow(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('flavor_access').where('flavor_id', '=', id).execute();
  await tx.deleteFrom('flavor').where('id', '=', id).execute();
}

export async function findFlavor(db: Reader, id: string): Promise<FlavorRow | undefined> {
  return await db.selectFrom('flavor').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function findFlavorByName(db: Reader, name: string): Promise<FlavorRow | undefined> {
  return await db.selectFrom('flavor').selectAll().where('name', '=', name).executeTakeFirst();
}

export async function countFlavors(db: Reader): Promise<number> {
  const row = await db
    .selectFrom('flavor')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

export async function listFlavors(db: Reader, options: FlavorListOptions): Promise<FlavorRow[]> {
  let query = db
    .selectFrom('flavor')
    .selectAll()
    .where('root_gb', '>=', options.minDisk)
    .where('memory_mb', '>=', options.minRam);
  const { isPublic, accessibleTo } = options;
  if (isPublic !== null) {
    query = query.where((eb) => {
      const visible = eb('is_public', '=', isPublic ? 1 : 0);
      if (!isPublic || accessibleTo === null) return visible;
      const mine = eb.selectFrom('flavor_access').select('flavor_id').where('project_id', '=', accessibleTo);
      return eb.or([visible, eb('id', 'in', mine)]);
    });
  }
  return await applyList(query, options).execute();
}

export async function flavorProjects(db: Reader, flavorId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('flavor_access')
    .select('project_id')
    .where('flavor_id', '=', flavorId)
    .orderBy('project_id')
    .execute();
  return rows.map((row) => row.project_id);
}

export async function hasFlavorAccess(db: Reader, flavorId: string, projectId: string): Promise<boolean> {
  const row = await db
    .selectFrom('flavor_access')
    .select('flavor_id')
    .where('flavor_id', '=', flavorId)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return row !== undefined;
}

export async function insertFlavorAccess(tx: Tx, flavorId: string, projectId: string): Promise<void> {
  await tx.insertInto('flavor_access').values({ flavor_id: flavorId, project_id: projectId }).execute();
}

export async function deleteFlavorAccess(tx: Tx, flavorId: string, projectId: string): Promise<void> {
  await tx
    .deleteFrom('flavor_access')
    .where('flavor_id', '=', flavorId)
    .where('project_id', '=', projectId)
    .execute();
}
