import { type Selectable, sql, type Updateable } from 'kysely';
import { applyList, type ListOptions } from './list.js';
import type { Reader, Tx } from './store.js';
import type { ImageMemberTable, ImageTable } from './tables/image.js';

export type ImageRow = Selectable<ImageTable>;
export type ImageMemberRow = Selectable<ImageMemberTable>;

/** An image with what belongs to it. */
export interface FullImage extends ImageRow {
  readonly properties: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
}

/** Whose images a list shows: an administrator's (null) or one project's, with what others share. */
export interface ImageScope {
  readonly projectId: string | null;
  /** Show only what has this visibility; undefined: the default list (own, public, and accepted shared ones). */
  readonly visibility?: string;
  /** Which shared images of others: those accepted by default. */
  readonly memberStatus?: string;
}

export interface ImageListOptions extends ListOptions {
  readonly scope: ImageScope;
  readonly hidden: boolean;
  readonly tags?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly sizeMin?: number;
  readonly sizeMax?: number;
  /** Comparisons such as created_at >= t, as column, operator and value. */
  readonly times?: readonly (readonly [
    'created_at' | 'updated_at',
    '=' | '!=' | '>' | '>=' | '<' | '<=',
    string,
  ])[];
}

export async function insertImage(tx: Tx, row: ImageRow): Promise<void> {
  await tx.insertInto('image').values(row).execute();
}

export async function updateImage(tx: Tx, id: string, values: Updateable<ImageTable>): Promise<void> {
  await tx.updateTable('image').set(values).where('id', '=', id).execute();
}

/**
 * Moves an image from one of the given states to another; false when it was in none of them, so that two uploads at once
 * cannot both begin.
 */
export async function moveImageStatus(
  tx: Tx,
  id: string,
  from: readonly string[],
  to: string,
  values: Updateable<ImageTable> = {},
): Promise<boolean> {
  const result = await tx
    .updateTable('image')
    .set({ ...values, status: to })
    .where('id', '=', id)
    .where('deleted', '=', 0)
    .where('status', 'in', from)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Takes an image's row, deleted or not, for the rest of the transaction; gives the name of its file. */
export async function takeImageFile(tx: Tx, id: string): Promise<string | null> {
  const row = await tx
    .updateTable('image')
    .set((eb) => ({ file_name: eb.ref('file_name') }))
    .where('id', '=', id)
    .returning('file_name')
    .executeTakeFirst();
  return row?.file_name ?? null;
}

export async function findImage(db: Reader, id: string): Promise<FullImage | null> {
  const row = await db
    .selectFrom('image')
    .selectAll()
    .where('id', '=', id)
    .where('deleted', '=', 0)
    .executeTakeFirst();
  return row ? ((await complete(db, [row]))[0] ?? null) : null;
}

/** True when the project was offered the image, whatever it answered. */
export async function isImageMember(db: Reader, imageId: string, projectId: string): Promise<boolean> {
  const row = await db
    .selectFrom('image_member')
    .select('member_id')
    .where('image_id', '=', imageId)
    .where('member_id', '=', projectId)
    .executeTakeFirst();
  return row !== undefined;
}

export async function listImages(db: Reader, options: ImageListOptions): Promise<FullImage[]> {
  const { scope } = options;
  let query = db
    .selectFrom('image')
    .selectAll()
    .where('deleted', '=', 0)
    .where('os_hidden', '=', options.hidden ? 1 : 0);
  if (scope.visibility && scope.visibility !== 'all')
    query = query.where('visibility', '=', scope.visibility);
  if (scope.projectId !== null) {
    const projectId = scope.projectId;
    const memberStatus = scope.memberStatus ?? 'accepted';
    const members = db
      .selectFrom('image_member')
      .select('image_id')
      .where('member_id', '=', projectId)
      .$if(memberStatus !== 'all', (q) => q.where('status', '=', memberStatus));
    query = query.where((eb) =>
      eb.or([
        eb('owner', '=', projectId),
        eb('visibility', '=', 'public'),
        ...(scope.visibility === 'community' || scope.visibility === 'all'
          ? [eb('visibility', '=', 'community')]
          : []),
        eb.and([eb('visibility', '=', 'shared'), eb('id', 'in', members)]),
      ]),
    );
  }
  for (const tag of options.tags ?? []) {
    query = query.where('id', 'in', db.selectFrom('image_tag').select('image_id').where('tag', '=', tag));
  }
  for (const [name, value] of Object.entries(options.properties ?? {})) {
    query = query.where(
      'id',
      'in',
      db.selectFrom('image_property').select('image_id').where('name', '=', name).where('value', '=', value),
    );
  }
  if (options.sizeMin !== undefined) query = query.where('size', '>=', options.sizeMin);
  if (options.sizeMax !== undefined) query = query.where('size', '<=', options.sizeMax);
  for (const [column, operator, value] of options.times ?? []) query = query.where(column, operator, value);
  return await complete(db, await applyList(query, options).execute());
}

export async function replaceImageProperties(
  tx: Tx,
  id: string,
  properties: Readonly<Record<string, string>>,
): Promise<void> {
  await tx.deleteFrom('image_property').where('image_id', '=', id).execute();
  const rows = Object.entries(properties).map(([name, value]) => ({ image_id: id, name, value }));
  if (rows.length) await tx.insertInto('image_property').values(rows).execute();
}

export async function replaceImageTags(tx: Tx, id: string, tags: readonly string[]): Promise<void> {
  await tx.deleteFrom('image_tag').where('image_id', '=', id).execute();
  const rows = [...new Set(tags)].map((tag) => ({ image_id: id, tag }));
  if (rows.length) await tx.insertInto('image_tag').values(rows).execute();
}

/** Marks an image as deleted; gives the name of the file that nobody needs now, null when it has none. */
export async function markImageDeleted(tx: Tx, id: string, at: string): Promise<string | null> {
  const row = await tx
    .updateTable('image')
    .set({ deleted: 1, status: 'deleted', updated_at: at })
    .where('id', '=', id)
    .returning('file_name')
    .executeTakeFirst();
  return row?.file_name ?? null;
}

export async function listImageMembers(db: Reader, imageId: string): Promise<ImageMemberRow[]> {
  return await db
    .selectFrom('image_member')
    .selectAll()
    .where('image_id', '=', imageId)
    .orderBy('created_at')
    .orderBy('member_id')
    .execute();
}

export async function insertImageMember(tx: Tx, row: ImageMemberRow): Promise<void> {
  await tx.insertInto('image_member').values(row).execute();
}

export async function updateImageMember(tx: Tx, row: ImageMemberRow): Promise<void> {
  await tx
    .updateTable('image_member')
    .set({ status: row.status, updated_at: row.updated_at })
    .where('image_id', '=', row.image_id)
    .where('member_id', '=', row.member_id)
    .execute();
}

export async function deleteImageMember(tx: Tx, imageId: string, memberId: string): Promise<void> {
  await tx
    .deleteFrom('image_member')
    .where('image_id', '=', imageId)
    .where('member_id', '=', memberId)
    .execute();
}

/** Images whose upload was cut off by the end of the controller. */
export async function listImagesInStatus(db: Reader, statuses: readonly string[]): Promise<ImageRow[]> {
  return await db
    .selectFrom('image')
    .selectAll()
    .where('deleted', '=', 0)
    .where('status', 'in', statuses)
    .execute();
}

/** Number of images and bytes of a project, for its quota. */
export async function countImages(db: Reader, projectId: string): Promise<{ count: number; bytes: number }> {
  const row = await db
    .selectFrom('image')
    .select((eb) => [eb.fn.countAll<number>().as('count'), sql<number>`coalesce(sum(size), 0)`.as('bytes')])
    .where('owner', '=', projectId)
    .where('deleted', '=', 0)
    .executeTakeFirstOrThrow();
  return { count: Number(row.count), bytes: Number(row.bytes) };
}

/** Properties and tags of many images in two queries. */
async function complete(db: Reader, rows: readonly ImageRow[]): Promise<FullImage[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);
  const properties = await db.selectFrom('image_property').selectAll().where('image_id', 'in', ids).execute();
  const tags = await db
    .selectFrom('image_tag')
    .selectAll()
    .where('image_id', 'in', ids)
    .orderBy('tag')
    .execute();
  const full = new Map(
    rows.map((row) => [row.id, { ...row, properties: {} as Record<string, string>, tags: [] as string[] }]),
  );
  for (const { image_id, name, value } of properties) full.get(image_id)!.properties[name] = value;
  for (const { image_id, tag } of tags) full.get(image_id)!.tags.push(tag);
  return [...full.values()];
}
