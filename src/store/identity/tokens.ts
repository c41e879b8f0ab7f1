import { sql } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { RevocationTable } from '../tables/identity.js';

/** Whom a revocation is about. */
export type RevocationKind = RevocationTable['kind'];

/** A revocation, for listings. */
export type RevocationRow = Pick<RevocationTable, 'kind' | 'subject' | 'issued_until'>;

/** When a token or receipt was made: by its controller's clock, and after which of identity's writes (null: not known). */
export interface IssuedAt {
  readonly time: string;
  readonly epoch: number | null;
}

/** Revocations of open transactions, which get the number of their write when it is known. */
const unnumbered = new WeakMap<Tx, number[]>();
/** Rows of one statement: databases limit its parameters. */
const ROWS_AT_ONCE = 500;

/**
 * Refuses tokens of the subject that were issued until now; the row may go once `expiresAt` has passed. The transaction is to end with
 * `raiseEpoch`: without, times are compared, which need clocks in step.
 */
export async function revoke(
  tx: Tx,
  kind: RevocationKind,
  subject: string,
  issuedUntil: string,
  expiresAt: string,
): Promise<void> {
  const { seq } = await tx
    .insertInto('revocation')
    .values({ kind, subject, issued_until: issuedUntil, expires_at: expiresAt })
    .returning('seq')
    .executeTakeFirstOrThrow();
  const before = unnumbered.get(tx);
  if (before) before.push(seq);
  else unnumbered.set(tx, [seq]);
}

/** True when a token with these subjects, issued then, is revoked. Clocks count only where a write's number is not known. */
export async function isRevoked(
  db: Reader,
  issued: IssuedAt,
  subjects: readonly (readonly [RevocationKind, string])[],
): Promise<boolean> {
  const row = await db
    .selectFrom('revocation')
    .select('seq')
    .where((eb) =>
      issued.epoch === null
        ? eb('issued_until', '>=', issued.time)
        : eb.or([
            eb('epoch', '>', issued.epoch),
            eb.and([eb('epoch', '=', 0), eb('issued_until', '>=', issued.time)]),
          ]),
    )
    .where((eb) =>
      eb.or(subjects.map(([kind, subject]) => eb.and([eb('kind', '=', kind), eb('subject', '=', subject)]))),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** What no revocation goes beyond: the latest number of a write, and the latest times, '' when there is none. */
export interface LatestRevocation {
  readonly epoch: number;
  readonly until: string;
  /** Of those that are compared by time, as their write's number is not known. */
  readonly untilByTime: string;
}

/** The latest of all revocations: tokens issued after it need not be looked for. */
export async function latestRevocation(db: Reader): Promise<LatestRevocation> {
  const row = await db
    .selectFrom('revocation')
    .select((eb) => [
      eb.fn.max('epoch').as('epoch'),
      eb.fn.max('issued_until').as('until'),
      sql<string | null>`max(case when epoch = 0 then issued_until end)`.as('by_time'),
    ])
    .executeTakeFirst();
  return { epoch: Number(row?.epoch ?? 0), until: row?.until ?? '', untilByTime: row?.by_time ?? '' };
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

/**
 * Ends a transaction of identity: raises the number and gives it to the transaction's revocations. The row is held until the commit, so
 * whoever reads the new number sees all that the transaction wrote.
 */
export async function raiseEpoch(tx: Tx): Promise<number> {
  const { value } = await tx
    .updateTable('identity_epoch')
    .set({ value: sql<number>`value + 1` })
    .where('id', '=', 1)
    .returning('value')
    .executeTakeFirstOrThrow();
  const revoked = unnumbered.get(tx) ?? [];
  for (let at = 0; at < revoked.length; at += ROWS_AT_ONCE) {
    const some = revoked.slice(at, at + ROWS_AT_ONCE);
    await tx.updateTable('revocation').set({ epoch: value }).where('seq', 'in', some).execute();
  }
  return value;
}

/** How far the number goes on in a restored database: beyond what it can have been before. */
const SKIPPED_EPOCHS = 100_000;

/**
 * Takes the number beyond all that it has been in a state of the database that was lost, so that nothing that was kept or issued then is
 * taken for something of now.
 */
export async function skipIdentityEpochs(tx: Tx): Promise<void> {
  await tx
    .updateTable('identity_epoch')
    .set({ value: sql<number>`value + ${SKIPPED_EPOCHS}` })
    .where('id', '=', 1)
    .execute();
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
