import { type Selectable, sql, type Updateable } from 'kysely';
import { applyList, type ListOptions } from './list.js';
import { oneOf } from './one-of.js';
import type { Reader, Tx } from './store.js';
import type { VolumeTable, VolumeTypeTable } from './tables/volume.js';

export type VolumeTypeRow = Selectable<VolumeTypeTable>;

/** A volume with the names that views show. */
export type VolumeRow = Selectable<VolumeTable> & {
  readonly volume_type: string;
  readonly host: string | null;
};

export interface VolumeListOptions extends ListOptions {
  /** Null: of all projects. */
  readonly projectId: string | null;
  /** Only volumes with all these metadata entries. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly offset?: number;
}

export async function insertVolume(tx: Tx, row: Selectable<VolumeTable>): Promise<void> {
  await tx.insertInto('volume').values(row).execute();
}

export async function updateVolume(tx: Tx, id: string, values: Updateable<VolumeTable>): Promise<void> {
  await tx.updateTable('volume').set(values).where('id', '=', id).execute();
}

/** Moves a volume out of one of the given statuses; false when it was in none of them. */
export async function moveVolumeStatus(
  tx: Tx,
  id: string,
  from: readonly string[],
  values: Updateable<VolumeTable>,
): Promise<boolean> {
  const result = await tx
    .updateTable('volume')
    .set(values)
    .where('id', '=', id)
    .where('status', 'in', from)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

export async function deleteVolumeRow(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('volume').where('id', '=', id).execute();
}

export async function findVolume(db: Reader, id: string): Promise<VolumeRow | undefined> {
  return (await volumes(db).where('volume.id', '=', id).executeTakeFirst()) as VolumeRow | undefined;
}

export async function listVolumes(db: Reader, options: VolumeListOptions): Promise<VolumeRow[]> {
  // the inner select has one table, so filters and order need no qualification
  let query = db.selectFrom('volume').selectAll();
  if (options.projectId !== null) query = query.where('project_id', '=', options.projectId);
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    const entry = `%${escapeLike(`${JSON.stringify(key)}:${JSON.stringify(value)}`)}%`;
    query = query.where(sql<boolean>`metadata like ${entry} escape '!'`);
  }
  query = applyList(query, options);
  if (options.offset) query = query.offset(options.offset);
  const page = await query.execute();
  if (page.length === 0) return [];
  const full = (await volumes(db)
    .where(
      'volume.id',
      'in',
      page.map((v) => v.id),
    )
    .execute()) as VolumeRow[];
  const byId = new Map(full.map((row) => [row.id, row]));
  return page.map((v) => byId.get(v.id)!);
}

/** Volumes and gigabytes of a project, for its quota. Those being deleted no longer count. */
export async function countVolumes(
  db: Reader,
  projectId: string,
): Promise<{ volumes: number; gigabytes: number }> {
  const row = await db
    .selectFrom('volume')
    .select((eb) => [
      eb.fn.countAll<number>().as('volumes'),
      sql<number>`coalesce(sum(size_gb), 0)`.as('gigabytes'),
    ])
    .where('project_id', '=', projectId)
    .where('delete_requested_at', 'is', null)
    .executeTakeFirstOrThrow();
  return { volumes: Number(row.volumes), gigabytes: Number(row.gigabytes) };
}

/** Volumes that a host should have. */
export async function volumesOfHosts(
  db: Reader,
  hostIds: readonly string[],
): Promise<Selectable<VolumeTable>[]> {
  return await db
    .selectFrom('volume')
    .selectAll()
    .where(oneOf(db, 'host_id', hostIds))
    .where('delete_requested_at', 'is', null)
    .execute();
}

/** Volumes whose deletion waits for their host; `host` is its name, null when it is none of ours any more. */
export async function listDeletingVolumes(db: Reader) {
  return await db
    .selectFrom('volume')
    .leftJoin('host', 'host.id', 'volume.host_id')
    .select([
      'volume.id',
      'volume.host_id',
      'volume.status',
      'volume.delete_requested_at',
      'host.name as host',
    ])
    .where('volume.delete_requested_at', 'is not', null)
    .execute();
}

export async function hostOfVolume(db: Reader, id: string): Promise<string | null> {
  const row = await db.selectFrom('volume').select('host_id').where('id', '=', id).executeTakeFirst();
  return row?.host_id ?? null;
}

export async function listVolumeTypes(db: Reader, all: boolean): Promise<VolumeTypeRow[]> {
  return await db
    .selectFrom('volume_type')
    .selectAll()
    .$if(!all, (q) => q.where('is_public', '=', 1))
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

export async function findVolumeType(db: Reader, nameOrId: string): Promise<VolumeTypeRow | undefined> {
  return await db
    .selectFrom('volume_type')
    .selectAll()
    .where((eb) => eb.or([eb('id', '=', nameOrId), eb('name', '=', nameOrId)]))
    .executeTakeFirst();
}

function volumes(db: Reader) {
  return db
    .selectFrom('volume')
    .innerJoin('volume_type', 'volume_type.id', 'volume.volume_type_id')
    .leftJoin('host', 'host.id', 'volume.host_id')
    .selectAll('volume')
    .select(['volume_type.name as volume_type', 'host.name as host']);
}

function escapeLike(text: string): string {
  return text.replace(/[!%_]/g, '!$&');
}

export async function insertVolumeType(tx: Tx, row: VolumeTypeRow): Promise<void> {
  await tx.insertInto('volume_type').values(row).execute();
}

export async function updateVolumeTypeRow(tx: Tx, { id, ...values }: VolumeTypeRow): Promise<void> {
  await tx.updateTable('volume_type').set(values).where('id', '=', id).execute();
}

export async function deleteVolumeTypeRow(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('volume_type').where('id', '=', id).execute();
}

export async function countVolumesOfType(db: Reader, id: string): Promise<number> {
  const row = await db
    .selectFrom('volume')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('volume_type_id', '=', id)
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

/** Gigabytes of the volumes on each host. */
export async function volumeUse(db: Reader): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('volume')
    .select((eb) => ['host_id', eb.fn.sum<number>('size_gb').as('gigabytes')])
    .where('host_id', 'is not', null)
    .groupBy('host_id')
    .execute();
  return new Map(rows.map((row) => [row.host_id!, Number(row.gigabytes)]));
}
