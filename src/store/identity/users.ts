import type { Selectable } from 'kysely';
import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
import type { GroupTable, UserTable } from '../tables/identity.js';
import { idRows } from './table.js';

export type UserRow = Selectable<UserTable>;
export type GroupRow = Selectable<GroupTable>;

export const users = idRows('user');
export const groups = idRows('group');

/** A user by name in a domain. */
export async function findUser(db: Reader, domainId: string, name: string): Promise<UserRow | undefined> {
  return await db
    .selectFrom('user')
    .selectAll()
    .where('domain_id', '=', domainId)
    .where('name', '=', name)
    .executeTakeFirst();
}

/** Puts another hash of the same password in place of the old one; does nothing when that is not the user's any more. */
export async function replacePasswordHash(tx: Tx, userId: string, old: string, hash: string): Promise<void> {
  await tx
    .updateTable('user')
    .set({ password_hash: hash })
    .where('id', '=', userId)
    .where('password_hash', '=', old)
    .execute();
}

/** Ids of the groups that a user is in. */
export async function groupIdsOf(db: Reader, userId: string): Promise<string[]> {
  const rows = await db.selectFrom('group_member').select('group_id').where('user_id', '=', userId).execute();
  return rows.map((row) => row.group_id);
}

/** Ids of the users in a group. */
export async function memberIdsOf(db: Reader, groupId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('group_member')
    .select('user_id')
    .where('group_id', '=', groupId)
    .execute();
  return rows.map((row) => row.user_id);
}

/** Ids of the users in each of the groups. */
export async function membersOf(
  db: Reader,
  groupIds: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const members = new Map<string, string[]>(groupIds.map((id) => [id, []]));
  if (groupIds.length === 0) return members;
  const rows = await db
    .selectFrom('group_member')
    .selectAll()
    .where(oneOf(db, 'group_id', groupIds))
    .orderBy('user_id')
    .execute();
  for (const row of rows) members.get(row.group_id)?.push(row.user_id);
  return members;
}

export async function addMember(tx: Tx, groupId: string, userId: string): Promise<void> {
  await tx
    .insertInto('group_member')
    .values({ group_id: groupId, user_id: userId })
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Takes a user out of a group; false when it was not in it. */
export async function removeMember(tx: Tx, groupId: string, userId: string): Promise<boolean> {
  const result = await tx
    .deleteFrom('group_member')
    .where('group_id', '=', groupId)
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Takes a user out of every group, or empties a group. */
export async function removeMemberships(
  tx: Tx,
  of: { readonly group_id: string } | { readonly user_id: string },
): Promise<void> {
  const query = tx.deleteFrom('group_member');
  await ('group_id' in of
    ? query.where('group_id', '=', of.group_id)
    : query.where('user_id', '=', of.user_id)
  ).execute();
}
