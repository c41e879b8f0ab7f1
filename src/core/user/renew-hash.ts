import { replacePasswordHash, type UserRow } from '../../store/identity/users.js';
import type { App } from '../app.js';
import { hashPassword, isOutdated } from '../identity/passwords.js';

/** Users whose password is being hashed anew: of their logins at the same time one does it. */
const underWay = new Set<string>();

/**
 * Hashes a password that has just been right anew when it was hashed at another cost than passwords are now: guesses on it would take
 * another time than those on users who do not exist. Nothing is written otherwise. What goes wrong keeps nobody out. Tokens do not
 * depend on it, and no proof uses a kept row, so the epoch stays.
 */
export async function renewHash(
  app: App,
  { id, password_hash: old }: UserRow,
  password: string,
): Promise<void> {
  if (old === null || !isOutdated(old) || underWay.has(id)) return;
  underWay.add(id);
  try {
    const hash = await hashPassword(password);
    // nothing when the password has been changed meanwhile
    await app.store.tx((tx) => replacePasswordHash(tx, id, old, hash));
  } catch (error) {
    app.log.warn('a password hashed at another cost could not be hashed anew', { user: id, error });
  } finally {
    underWay.delete(id);
  }
}

/** True when what a user had as a hash has only been hashed anew: the password is the same. */
export function isRenewed(before: UserRow, now: UserRow): boolean {
  const [old, hash] = [before.password_hash, now.password_hash];
  if (old === null || hash === null || !isOutdated(old) || isOutdated(hash)) return false;
  // whoever sets a password notes when
  return before.password_changed_at === now.password_changed_at;
}
