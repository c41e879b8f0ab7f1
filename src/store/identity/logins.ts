import { sql } from 'kysely';
import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';

/** When an account is locked: so many failures, of which the last came after `since`; null: until it is enabled anew. */
export interface LockRule {
  readonly failures: number;
  readonly since: string | null;
}

/** How a user's logins went; undefined when there was none. */
export async function readLogin(db: Reader, userId: string) {
  return await db.selectFrom('user_login').selectAll().where('user_id', '=', userId).executeTakeFirst();
}

/**
 * Counts a failure. What comes while the account is locked does not keep it locked for longer, but is written all the same (the
 * count goes to and fro): how long a commit takes would tell apart who is locked, or does not exist.
 */
export async function countFailure(tx: Tx, userId: string, rule: LockRule, now: string): Promise<void> {
  await tx
    .insertInto('user_login')
    .values({ user_id: userId, failed_auth_count: 1, failed_auth_at: now })
    .onConflict((conflict) =>
      conflict.column('user_id').doUpdateSet({
        // a lock that is over leaves nothing behind
        failed_auth_count: sql<number>`case
            when ${locked(rule)} and user_login.failed_auth_count > ${rule.failures} then ${rule.failures}
            when ${locked(rule)} then ${rule.failures} + 1
            when user_login.failed_auth_count >= ${rule.failures} then 1
            else user_login.failed_auth_count + 1 end`,
        failed_auth_at: sql<string>`case
            when ${locked(rule)} then user_login.failed_auth_at else ${now} end`,
      }),
    )
    .execute();
}

/** Forgets failures; false, and changes nothing, when the account is locked. Without a rule none is. */
export async function forgetFailures(tx: Tx, userId: string, rule: LockRule | null): Promise<boolean> {
  let update = tx
    .updateTable('user_login')
    .set({ failed_auth_count: 0, failed_auth_at: null })
    .where('user_id', '=', userId);
  if (rule) update = update.where(sql<boolean>`not ${locked(rule)}`);
  return (await update.executeTakeFirst()).numUpdatedRows > 0n;
}

/** Notes the day of a success. */
export async function noteActive(tx: Tx, userId: string, day: string): Promise<void> {
  await tx
    .insertInto('user_login')
    .values({ user_id: userId, failed_auth_at: null, last_active_on: day })
    .onConflict((conflict) => conflict.column('user_id').doUpdateSet({ last_active_on: day }))
    .execute();
}

/** Notes the day of a success of each of the users, as far as they exist still and it is not known to be later. */
export async function noteAllActive(tx: Tx, userIds: readonly string[], day: string): Promise<void> {
  if (userIds.length === 0) return;
  await tx
    .insertInto('user_login')
    .columns(['user_id', 'last_active_on'])
    .expression((eb) =>
      eb
        .selectFrom('user')
        .select(['user.id', sql<string>`cast(${day} as text)`.as('day')])
        .where(oneOf(tx, 'user.id', userIds)),
    )
    .onConflict((conflict) =>
      conflict
        .column('user_id')
        .doUpdateSet({ last_active_on: day })
        .where((eb) =>
          eb.or([eb('user_login.last_active_on', 'is', null), eb('user_login.last_active_on', '<', day)]),
        ),
    )
    .execute();
}

/** Enabled users who were last active, or else made, on that day or before. */
export async function listInactiveUsers(db: Reader, day: string) {
  return await db
    .selectFrom('user')
    .leftJoin('user_login', 'user_login.user_id', 'user.id')
    .selectAll('user')
    .where('user.enabled', '=', 1)
    .where(sql<string>`coalesce(user_login.last_active_on, substr("user".created_at, 1, 10))`, '<=', day)
    .orderBy('user.id')
    .execute();
}

/**
 * Takes a time step of a TOTP credential; false when that step or a later one has been taken before, at whichever controller.
 */
export async function takeTotpStep(
  tx: Tx,
  { credentialId, userId, step }: { credentialId: string; userId: string; step: number },
): Promise<boolean> {
  const result = await tx
    .insertInto('totp_use')
    .values({ credential_id: credentialId, user_id: userId, step })
    .onConflict((conflict) =>
      conflict.column('credential_id').doUpdateSet({ step }).where('totp_use.step', '<', step),
    )
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Forgets how a user logged in. */
export async function removeLogins(tx: Tx, userId: string): Promise<void> {
  await tx.deleteFrom('user_login').where('user_id', '=', userId).execute();
  await tx.deleteFrom('password_history').where('user_id', '=', userId).execute();
  await tx.deleteFrom('totp_use').where('user_id', '=', userId).execute();
}

function locked({ failures, since }: LockRule) {
  const recent = since === null ? sql`true` : sql`user_login.failed_auth_at > ${since}`;
  return sql`(user_login.failed_auth_count >= ${failures} and ${recent})`;
}
