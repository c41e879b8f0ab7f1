import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';

/** Tags of resources, each resource's in alphabetical order. */
export async function tagsOf(db: Reader, resourceIds: readonly string[]): Promise<Map<string, string[]>> {
  const tags = new Map<string, string[]>();
  if (resourceIds.length === 0) return tags;
  const rows = await db
    .selectFrom('network_tag')
    .selectAll()
    .where(oneOf(db, 'resource_id', resourceIds))
    .orderBy('tag')
    .execute();
  for (const row of rows) tags.set(row.resource_id, [...(tags.get(row.resource_id) ?? []), row.tag]);
  return tags;
}

export async function addTags(tx: Tx, resourceId: string, tags: readonly string[]): Promise<void> {
  if (tags.length === 0) return;
  await tx
    .insertInto('network_tag')
    .values(tags.map((tag) => ({ resource_id: resourceId, tag })))
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Removes one tag; false when there was none. */
export async function deleteTag(tx: Tx, resourceId: string, tag: string): Promise<boolean> {
  const result = await tx
    .deleteFrom('network_tag')
    .where('resource_id', '=', resourceId)
    .where('tag', '=', tag)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}

export async function deleteTags(tx: Tx, resourceIds: readonly string[]): Promise<void> {
  if (resourceIds.length === 0) return;
  await tx
    .deleteFrom('network_tag')
    .where('resource_id', 'in', [...resourceIds])
    .execute();
}
