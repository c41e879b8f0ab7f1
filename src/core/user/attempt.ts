import { countFailure, forgetFailures, type LockRule, readLogin } from '../../store/identity/logins.js';
import type { UserRow } from '../../store/identity/users.js';
import { nowText } from '../../store/store.js';
import type { App } from '../app.js';
import { TooBusy } from '../errors.js';
import { guessOf } from '../identity/passwords.js';
import { optionOf } from './options.js';

/** The account on which attempts are counted that name none there is. */
const NOBODY = '';
const WRONG = 'wrong password or passcode';

/** An attempt to prove to be a user by a secret that can be guessed. */
export interface Attempt {
  /** What failures are counted by in memory, besides the account. */
  readonly key: string;
  readonly secret: string;
  /** True when the user's secret is known to be right: such an attempt is not held up by those of others. */
  readonly known?: (user: UserRow) => boolean;
  /** Looks at the secret; without a user it takes as long and is false. */
  readonly prove: (user: UserRow | undefined) => Promise<boolean>;
}

/**
 * Runs one attempt; true when it succeeded and the account is neither locked nor disabled.
 *
 * The secret of an account that is locked or disabled is not looked at: a guess then gets the answer of a user who does not
 * exist, in the same time and with the same writes, so nobody learns during a lock what to use after it. Whether it is locked is
 * looked at again when the secret was right: attempts at the same time, at whichever controllers, then have the outcomes that
 * they could have had one after another. Throws TooBusy when too many are waiting.
 */
export async function attempt(
  app: App,
  user: UserRow | undefined,
  { key, secret, known, prove }: Attempt,
): Promise<boolean> {
  let judged = false;
  const judge = () => {
    judged = true;
    return judgeOne(app, user, prove);
  };
  const closed = await whyClosed(app, user);
  if (user && closed === undefined && known?.(user)) return await judge();
  try {
    const proved = await app.identity.throttle.run(key, judge, guessOf(secret));
    if (!judged && user) noteAttempt(app, user, WRONG);
    return proved;
  } catch (error) {
    if (error instanceof TooBusy && user) noteAttempt(app, user, 'too many attempts were waiting');
    throw error;
  }
}

async function judgeOne(app: App, user: UserRow | undefined, prove: Attempt['prove']): Promise<boolean> {
  const closed = await whyClosed(app, user);
  const proved = await prove(closed === undefined ? user : undefined);
  const refused = closed ?? (proved ? await whyClosed(app, user) : WRONG);
  if (user) noteAttempt(app, user, refused);
  if (refused === undefined && user) return true;
  const rule = lockRule(app);
  if (rule) await app.store.tx((tx) => countFailure(tx, user?.id ?? NOBODY, rule, nowText()));
  return false;
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

/** Why nothing proves to be the user now; undefined when something may. As many reads for a user who does not exist. */
async function whyClosed(app: App, user: UserRow | undefined): Promise<string | undefined> {
  const rule = lockRule(app);
  const login = rule && (await readLogin(app.store.read, user?.id ?? NOBODY));
  if (!user?.enabled) return 'the user is disabled';
  if (!rule || !login || isExempt(user) || login.failed_auth_count < rule.failures) return undefined;
  const locked = rule.since === null || (login.failed_auth_at ?? '') > rule.since;
  return locked ? 'the account is locked after failed attempts' : undefined;
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
