import type { Reader, Tx } from '../store.js';

/** Hashes of a user's earlier passwords, the newest first. */
export async function listEarlierPasswords(db: Reader, userId: string, most: number): Promise<string[]> {
  if (most <= 0) return [];
  const rows = await db
    .selectFrom('password_history')
    .select('password_hash')
    .where('user_id', '=', userId)
    .orderBy('replaced_at', 'desc')
    .limit(most)
    .execute();
  return rows.map((row) => row.password_hash);
}

/** Keeps a password that is being replaced, and of the earlier ones so many that `most` are kept in all. */
export async function keepEarlierPassword(
  tx: Tx,
  row: { readonly userId: string; readonly hash: string; readonly now: string; readonly most: number },
): Promise<void> {
  const { userId, hash, now, most } = row;
  if (most > 0) {
    await tx
      .insertInto('password_history')
      .values({ user_id: userId, password_hash: hash, replaced_at: now })
      .execute();
  }
  const kept = tx
    .selectFrom('password_history')
    .select('password_hash')
    .where('user_id', '=', userId)
    .orderBy('replaced_at', 'desc')
    .limit(most);
  await tx
    .deleteFrom('password_history')
    .where('user_id', '=', userId)
    .where('password_hash', 'not in', kept)
    .execute();
}
