import type { Config } from '../../config.js';
import { keepEarlierPassword, listEarlierPasswords } from '../../store/identity/password-history.js';
import type { UserRow } from '../../store/identity/users.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest } from '../errors.js';
import { verifyAny } from '../identity/passwords.js';
import { optionOf } from './options.js';

const DAY_MS = 86_400_000;

/** Columns of a user that a password has. */
export type PasswordColumns = Pick<
  UserRow,
  'password_hash' | 'password_changed_at' | 'password_expires_at' | 'password_self_service'
>;

/** Refuses a password that `password_regex` does not allow. */
export function checkPassword(config: Config, password: string): void {
  const { password_regex, password_regex_description } = config;
  if (password_regex === null || new RegExp(`^(?:${password_regex})`, 'u').test(password)) return;
  throw badRequest(
    `The password does not match the requirements: ${password_regex_description ?? password_regex}.`,
  );
}

/** The columns for a new password; `chosenBy`: an administrator's may have to be changed at once. */
export function newPassword(
  config: Config,
  options: string,
  hash: string | null,
  chosenBy: 'user' | 'administrator',
): PasswordColumns {
  const now = Date.now();
  return {
    password_hash: hash,
    password_changed_at: hash === null ? null : new Date(now).toISOString(),
    password_expires_at: hash === null ? null : expiry(config, options, now, chosenBy),
    password_self_service: chosenBy === 'user' ? 1 : 0,
  };
}

/** Keeps the password that a user had, as far as it may not be chosen again. */
export async function keepPassword(tx: Tx, config: Config, user: UserRow, now: string): Promise<void> {
  if (user.password_hash === null) return;
  const most = Math.max(config.unique_last_password_count - 1, 0);
  await keepEarlierPassword(tx, { userId: user.id, hash: user.password_hash, now, most });
}

/** Refuses a user's own choice of a password: locked, too early, or one of the last. Takes a hash's time for each of those. */
export async function checkOwnChoice(
  { config }: App,
  db: Reader,
  user: UserRow,
  password: string,
): Promise<void> {
  checkPassword(config, password);
  if (optionOf(user, 'lock_password')) {
    throw badRequest(
      'You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password.',
    );
  }
  checkAge(config, user);
  const count = config.unique_last_password_count;
  if (count === 0) return;
  const earlier = await listEarlierPasswords(db, user.id, count - 1);
  const taken = [...(user.password_hash === null ? [] : [user.password_hash]), ...earlier];
  if (await verifyAny(taken, password)) {
    throw badRequest(
      `The new password cannot be identical to a previous password. The total number which includes the new password must be unique is ${count}.`,
    );
  }
}

function checkAge({ minimum_password_age: days }: Config, user: UserRow): void {
  if (days === 0 || user.password_self_service === 0 || user.password_changed_at === null) return;
  const left = Date.parse(user.password_changed_at) + days * DAY_MS - Date.now();
  if (left <= 0) return;
  throw badRequest(
    `You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used for ${days} day(s) before it can be changed. Please try again in ${Math.floor(left / DAY_MS)} day(s) or contact your administrator to reset your password.`,
  );
}

function expiry(
  config: Config,
  options: string,
  now: number,
  chosenBy: 'user' | 'administrator',
): string | null {
  const user = { options };
  const mustChange =
    chosenBy === 'administrator' &&
    config.change_password_upon_first_use &&
    !optionOf(user, 'ignore_change_password_upon_first_use');
  if (mustChange) return wholeSeconds(now);
  const days = config.password_expires_days;
  if (days === null || optionOf(user, 'ignore_password_expiry')) return null;
  return wholeSeconds(now + days * DAY_MS);
}

/** As Keystone has it, so that what is compared with what was shown is the same. */
function wholeSeconds(milliseconds: number): string {
  return new Date(Math.floor(milliseconds / 1000) * 1000).toISOString();
}
