import type { Selectable } from 'kysely';
import { dropForeignChanges } from './changes.js';
import { removeTokenKeys } from './identity/keys.js';
import { skipIdentityEpochs } from './identity/tokens.js';
import { skipRouterEpochs } from './network/router-place.js';
import { nowText, type Reader, recordChange, type Tx } from './store.js';
import type { IncarnationTable } from './tables/authority.js';

export type IncarnationRow = Selectable<IncarnationTable>;

/** What names this installation's state; a restored backup gets another. */
export async function readIncarnation(db: Reader): Promise<string> {
  const row = await db
    .selectFrom('setting')
    .select('value')
    .where('name', '=', 'incarnation')
    .executeTakeFirstOrThrow();
  return row.value;
}

/** The incarnation in force, with its reason. */
export async function findIncarnation(db: Reader): Promise<IncarnationRow> {
  const id = await readIncarnation(db);
  const row = await db.selectFrom('incarnation').selectAll().where('id', '=', id).executeTakeFirst();
  return row ?? { id, reason: 'unknown', created_at: '' };
}

/** True for the incarnations that this database has had. */
export async function isKnownIncarnation(db: Reader, id: string): Promise<boolean> {
  const row = await db.selectFrom('incarnation').select('id').where('id', '=', id).executeTakeFirst();
  return row !== undefined;
}

/** Remembers an incarnation that a host has told of; false when it was known. */
export async function noteIncarnation(tx: Tx, id: string, reason: string): Promise<boolean> {
  const noted = await tx
    .insertInto('incarnation')
    .values({ id, reason, created_at: nowText() })
    .onConflict((c) => c.doNothing())
    .returning('id')
    .executeTakeFirst();
  return noted !== undefined;
}

/**
 * Replaces the incarnation, puts every host into observing and ends every token, since what revoked some of them may be among what
 * was lost; null when `before` is no longer the one in force, because another request or controller was faster. The transaction is to
 * be one of identity's (`raiseEpoch`).
 */
export async function replaceIncarnation(tx: Tx, before: string, reason: string): Promise<string | null> {
  const id = crypto.randomUUID();
  const { numUpdatedRows } = await tx
    .updateTable('setting')
    .set({ value: id })
    .where('name', '=', 'incarnation')
    .where('value', '=', before)
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) return null;
  await dropForeignChanges(tx);
  await tx.insertInto('incarnation').values({ id, reason, created_at: nowText() }).execute();
  const hosts = await tx.updateTable('host').set({ observe_only: 1 }).returning('id').execute();
  for (const host of hosts) await recordChange(tx, 'host', host.id);
  await skipRouterEpochs(tx);
  await removeTokenKeys(tx);
  await skipIdentityEpochs(tx);
  return id;
}
