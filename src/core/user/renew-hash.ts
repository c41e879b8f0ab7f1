import { replacePasswordHash, type UserRow } from '../../store/identity/users.js';
import type { App } from '../app.js';
import { hashPassword, isOutdated } from '../identity/passwords.js';

/**
 * Hashes a password that has just been right anew when it was hashed at another cost than passwords are now: guesses on it would take
 * another time than those on users who do not exist. Nothing is written otherwise. What goes wrong keeps nobody out.
 */
export async function renewHash(
  app: App,
  { id, password_hash: old }: UserRow,
  password: string,
): Promise<void> {
  if (old === null || !isOutdated(old)) return;
  try {
    const hash = await hashPassword(password);
    // nothing when the password has been changed meanwhile
    await app.identity.write((tx) => replacePasswordHash(tx, id, old, hash));
  } catch (error) {
    app.log.warn('a password hashed at another cost could not be hashed anew', { user: id, error });
  }
}
