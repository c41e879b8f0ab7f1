import { countFailure, forgetFailures, type LockRule, readLogin } from '../../store/identity/logins.js';
import type { UserRow } from '../../store/identity/users.js';
import { nowText } from '../../store/store.js';
import type { App } from '../app.js';
import { optionOf } from './options.js';

/** The account on which attempts are counted that name none there is. */
const NOBODY = '';

/**
 * Runs one attempt to prove to be a user by a secret that can be guessed; true when it succeeded and the account is not locked.
 *
 * Whether it is locked is decided after the secret was looked at: attempts at the same time, at whichever controllers, then have
 * the outcomes that they could have had one after another, and nobody learns more from many at once. A user who does not exist
 * takes as long, and the answer is the same.
 */
export async function attempt(
  app: App,
  user: UserRow | undefined,
  throttleKey: string,
  prove: () => Promise<boolean>,
): Promise<boolean> {
  return await app.identity.throttle.run(throttleKey, async () => {
    const proved = await prove();
    if (user) noteAttempt(app, user, proved ? undefined : 'wrong password or passcode');
    const rule = lockRule(app);
    if (!rule) return proved;
    if (!proved || !user) {
      await app.store.tx((tx) => countFailure(tx, user?.id ?? NOBODY, rule, nowText()));
      return false;
    }
    const locked = await isLocked(app, user, rule);
    if (locked) noteAttempt(app, user, 'the account is locked after failed attempts');
    return !locked;
  });
}

/**
 * Forgets the failures of a user who has authenticated, by all methods that the user's rules want: the first factor alone must
 * not, or the second could be guessed without end. False when others have locked the account meanwhile.
 */
export async function forgiveFailures(app: App, user: UserRow): Promise<boolean> {
  const rule = lockRule(app);
  if (!rule) return true;
  const login = await readLogin(app.store.read, user.id);
  if (!login || login.failed_auth_count === 0) return true;
  return await app.store.tx((tx) => forgetFailures(tx, user.id, isExempt(user) ? null : rule));
}

async function isLocked(app: App, user: UserRow, rule: LockRule): Promise<boolean> {
  if (isExempt(user)) return false;
  const login = await readLogin(app.store.read, user.id);
  if (!login || login.failed_auth_count < rule.failures) return false;
  return rule.since === null || (login.failed_auth_at ?? '') > rule.since;
}

/** For the record only: the caller is told neither. */
function noteAttempt(app: App, user: UserRow, reason: string | undefined): void {
  const { id, name, domain_id } = user;
  app.audit.note({ user: { id, name, domain: { id: domain_id } }, ...(reason !== undefined && { reason }) });
}

function isExempt(user: UserRow): boolean {
  return optionOf(user, 'ignore_lockout_failure_attempts') === true;
}

function lockRule({ config }: App): LockRule | null {
  const { lockout_failure_attempts, lockout_duration } = config;
  if (lockout_failure_attempts === null) return null;
  const since =
    lockout_duration === null ? null : new Date(Date.now() - lockout_duration * 1000).toISOString();
  return { failures: lockout_failure_attempts, since };
}
