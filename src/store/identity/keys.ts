import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { IdentityKeyTable } from '../tables/delegation.js';

export type IdentityKeyRow = Selectable<IdentityKeyTable>;

/** Keys of one purpose, newest first. */
export async function listIdentityKeys(
  db: Reader,
  purpose: IdentityKeyRow['purpose'],
): Promise<IdentityKeyRow[]> {
  return await db
    .selectFrom('identity_key')
    .selectAll()
    .where('purpose', '=', purpose)
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute();
}

export async function insertIdentityKey(tx: Tx, row: IdentityKeyRow): Promise<void> {
  await tx.insertInto('identity_key').values(row).execute();
}

export async function removeIdentityKeys(
  tx: Tx,
  purpose: IdentityKeyRow['purpose'],
  ids: readonly string[],
): Promise<void> {
  await tx.deleteFrom('identity_key').where('purpose', '=', purpose).where('id', 'in', ids).execute();
}

/** Removes what tokens and receipts are signed with: all of them end. Whoever signs the next one makes a new key. */
export async function removeTokenKeys(tx: Tx): Promise<void> {
  await tx.deleteFrom('identity_key').where('purpose', '=', 'token').execute();
}

/** Removes all keys of a purpose but one. */
export async function removeOtherIdentityKeys(
  tx: Tx,
  purpose: IdentityKeyRow['purpose'],
  id: string,
): Promise<void> {
  await tx.deleteFrom('identity_key').where('purpose', '=', purpose).where('id', '!=', id).execute();
}

/** Where sealed texts are: table and column. */
const SEALED = [
  ['credential', 'blob'],
  ['oauth_consumer', 'secret'],
  ['oauth_request_token', 'secret'],
  ['oauth_access_token', 'secret'],
  ['domain_config_secret', 'secret'],
] as const;

/** A sealed text and where it is. */
export interface SealedText {
  readonly table: (typeof SEALED)[number][0];
  readonly id: string;
  readonly sealed: string;
}

/** Sealed texts that do not begin with the given text, at most so many. */
export async function sealedOtherwise(db: Reader, prefix: string, most: number): Promise<SealedText[]> {
  const found: SealedText[] = [];
  for (const [table, column] of SEALED) {
    // kysely cannot type a table of several, so the untyped builder is confined to this module
    // biome-ignore lint/suspicious/noExplicitAny: see above
    const rows: { id: string; sealed: string }[] = await (db as any)
      .selectFrom(table)
      .select(['id', `${column} as sealed`])
      .where(column, 'not like', `${prefix}%`)
      .limit(most - found.length)
      .execute();
    found.push(...rows.map((row) => ({ table, ...row })));
    if (found.length >= most) break;
  }
  return found;
}

/** Replaces a sealed text, unless it has been changed since it was read. */
export async function replaceSealed(tx: Tx, before: SealedText, sealed: string): Promise<void> {
  const column = SEALED.find(([table]) => table === before.table)![1];
  // biome-ignore lint/suspicious/noExplicitAny: see above
  await (tx as any)
    .updateTable(before.table)
    .set({ [column]: sealed })
    .where('id', '=', before.id)
    .where(column, '=', before.sealed)
    .execute();
}
