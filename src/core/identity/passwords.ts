import { hash, verify } from '@node-rs/argon2';

/** Argon2id as OWASP recommends: 19 MiB, two passes, one lane; about 13 ms in libuv's thread pool. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

let decoy: Promise<string> | undefined;

/** The text to store for a password. */
export async function hashPassword(password: string): Promise<string> {
  return await hash(password, COST);
}

/**
 * True when the password is the one that was hashed. Without a hash (unknown user, user without a password) it takes as long
 * and is false, so that time tells nobody which names exist.
 */
export async function verifyPassword(stored: string | null, password: string): Promise<boolean> {
  if (stored === null) {
    decoy ??= hash('no account has this hash', COST);
    await verify(await decoy, password);
    return false;
  }
  return await verify(stored, password);
}
