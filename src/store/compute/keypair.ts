import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { KeypairTable } from '../tables/compute.js';

export type KeypairRow = Selectable<KeypairTable>;

export async function insertKeypair(tx: Tx, row: Omit<KeypairRow, 'internal_id'>): Promise<KeypairRow> {
  return await tx.insertInto('keypair').values(row).returningAll().executeTakeFirstOrThrow();
}

export async function findKeypair(db: Reader, userId: string, name: string): Promise<KeypairRow | undefined> {
  return await db
    .selectFrom('keypair')
    .selectAll()
    .where('user_id', '=', userId)
    .where('name', '=', name)
    .executeTakeFirst();
}

/** A user's key pairs by name, from the one after `marker` on. */
export async function listKeypairs(
  db: Reader,
  userId: string,
  page: { readonly marker: string | null; readonly limit: number },
): Promise<KeypairRow[]> {
  let query = db.selectFrom('keypair').selectAll().where('user_id', '=', userId);
  if (page.marker !== null) query = query.where('name', '>', page.marker);
  return await query.orderBy('name').limit(page.limit).execute();
}

export async function countKeypairs(db: Reader, userId: string): Promise<number> {
  const row = await db
    .selectFrom('keypair')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('user_id', '=', userId)
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

export async function deleteKeypairRow(tx: Tx, userId: string, name: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('keypair')
    .where('user_id', '=', userId)
    .where('name', '=', name)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}
