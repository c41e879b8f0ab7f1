import { sql } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { RevocationTable } from '../tables/identity.js';

/** Whom a revocation is about. */
export type RevocationKind = RevocationTable['kind'];

/** A revocation, for listings. */
export type RevocationRow = Pick<RevocationTable, 'kind' | 'subject' | 'issued_until'>;

/** Refuses tokens of the subject that were issued until now; the row may go once `expiresAt` has passed. */
export async function revoke(
  tx: Tx,
  kind: RevocationKind,
  subject: string,
  issuedUntil: string,
  expiresAt: string,
): Promise<void> {
  await tx
    .insertInto('revocation')
    .values({ kind, subject, issued_until: issuedUntil, expires_at: expiresAt })
    .execute();
}

/** True when a token with these subjects, issued at that time, is revoked. */
export async function isRevoked(
  db: Reader,
  issuedAt: string,
  subjects: readonly (readonly [RevocationKind, string])[],
): Promise<boolean> {
  const row = await db
    .selectFrom('revocation')
    .select('seq')
    .where('issued_until', '>=', issuedAt)
    .where((eb) =>
      eb.or(subjects.map(([kind, subject]) => eb.and([eb('kind', '=', kind), eb('subject', '=', subject)]))),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Revocations in the order in which they were made; with `since`, those made from then on. */
export async function listRevocations(db: Reader, since?: string): Promise<RevocationRow[]> {
  const query = db
    .selectFrom('revocation')
    .select(['kind', 'subject', 'issued_until'])
    .orderBy('issued_until')
    .orderBy('seq');
  return await (since === undefined ? query : query.where('issued_until', '>=', since)).execute();
}

/** Forgets revocations whose tokens have all expired. */
export async function purgeRevocations(tx: Tx, now: string): Promise<void> {
  await tx.deleteFrom('revocation').where('expires_at', '<', now).execute();
}

export async function readEpoch(db: Reader): Promise<number> {
  return (await db.selectFrom('identity_epoch').select('value').where('id', '=', 1).executeTakeFirstOrThrow())
    .value;
}

export async function raiseEpoch(tx: Tx): Promise<void> {
  await tx.updateTable('identity_epoch').set({ value: sql<number>`value + 1` }).where('id', '=', 1).execute();
}

/** The setting's value; undefined when it was never written. */
export async function readSetting(db: Reader, name: string): Promise<string | undefined> {
  return (await db.selectFrom('setting').select('value').where('name', '=', name).executeTakeFirst())?.value;
}

export async function writeSetting(tx: Tx, name: string, value: string): Promise<void> {
  await tx
    .insertInto('setting')
    .values({ name, value })
    .onConflict((c) => c.column('name').doUpdateSet({ value }))
    .execute();
}
