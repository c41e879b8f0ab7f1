import { createHmac, randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';

/** Argon2id as OWASP recommends: 19 MiB, two passes, one lane; about 13 ms in libuv's thread pool. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/**
 * Clients such as Terraform and Ansible authenticate for each of their calls. A password that has just been verified is
 * recognised for this long by a keyed hash, so that the same client's next calls cost no memory-hard hash each.
 */
const REMEMBERED_MS = 60_000;
const MOST_REMEMBERED = 1000;

/** Of this process and never written: without it the remembered hashes say nothing. */
const key = randomBytes(32);
/** Digest of stored hash and password → when it is to be forgotten. */
const verified = new Map<string, number>();

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
  // the stored hash is part of the digest: a changed password forgets the old one at once
  const digest = createHmac('sha256', key).update(stored).update('\0').update(password).digest('base64');
  const until = verified.get(digest);
  if (until !== undefined && until > Date.now()) return true;
  verified.delete(digest);
  if (!(await verify(stored, password))) return false;
  verified.set(digest, Date.now() + REMEMBERED_MS);
  if (verified.size > MOST_REMEMBERED) {
    const oldest = verified.keys().next().value;
    if (oldest !== undefined) verified.delete(oldest);
  }
  return true;
}

/** True when the password is one of those that were hashed; takes the time of all of them. */
export async function verifyAny(stored: readonly string[], password: string): Promise<boolean> {
  const found = await Promise.all(stored.map((one) => verify(one, password)));
  return found.includes(true);
}
