import { createHmac, randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { HashQueue } from './hash-queue.js';

/**
 * Argon2id, 12 MiB, three passes, one lane: one of the settings that OWASP's password storage cheat sheet names as equally strong. It
 * takes about 9 ms in libuv's thread pool, where 19 MiB and two passes take 13: more of it stays in the processor's cache.
 */
const COST = { memoryCost: 12_288, timeCost: 3, parallelism: 1 } as const;

/**
 * Clients such as Terraform and Ansible authenticate for each of their calls. A password that has just been verified is
 * recognised for this long by a keyed hash, so that the same client's next calls cost no memory-hard hash each.
 */
const REMEMBERED_MS = 60_000;
/** For how long it is known besides that it was right, so that nobody's guesses hold it up; it is hashed again all the same. */
const KNOWN_MS = 15 * 60_000;
const MOST_REMEMBERED = 1000;

/** Of this process and never written: without it the remembered hashes say nothing. */
const key = randomBytes(32);
/** Digest of stored hash and password → when it was verified. */
const verified = new Map<string, number>();
const queue = new HashQueue();

let decoy: Promise<string> | undefined;

/** How the text of a hash with that cost begins. */
const CURRENT = `$argon2id$v=19$m=${COST.memoryCost},t=${COST.timeCost},p=${COST.parallelism}$`;

/** True for a hash that was made at another cost than hashes are now. */
export function isOutdated(stored: string): boolean {
  return !stored.startsWith(CURRENT);
}

/** The text to store for a password. */
export async function hashPassword(password: string): Promise<string> {
  return await queue.run(undefined, () => hash(password, COST));
}

/**
 * True when the password is the one that was hashed. Without a hash (unknown user, user without a password) it takes as long
 * and is false, so that time tells nobody which names exist. Throws TooBusy when too much is to be hashed
 * already.
 */
export async function verifyPassword(
  stored: string | null,
  password: string,
  address: string,
): Promise<boolean> {
  if (stored === null) {
    decoy ??= hash('no account has this hash', COST);
    const other = await decoy;
    await queue.run(address, () => verify(other, password));
    return false;
  }
  const digest = digestOf(stored, password);
  if (isVerified(digest, REMEMBERED_MS)) return true;
  if (!(await queue.run(address, () => verify(stored, password)))) return false;
  verified.delete(digest);
  verified.set(digest, Date.now());
  if (verified.size > MOST_REMEMBERED) {
    const oldest = verified.keys().next().value;
    if (oldest !== undefined) verified.delete(oldest);
  }
  return true;
}

/** True when the password was right not long ago: who has it is no guesser, and is not to be held up by those who are. */
export function isKnown(stored: string | null, password: string): boolean {
  return stored !== null && isVerified(digestOf(stored, password), KNOWN_MS);
}

/** A text that is the same for the same secret, and says nothing of it. */
export function guessOf(secret: string): string {
  return createHmac('sha256', key).update(secret).digest('base64');
}

/** True when the password is one of those that were hashed; takes the time of all of them. */
export async function verifyAny(stored: readonly string[], password: string): Promise<boolean> {
  const found = await Promise.all(stored.map((one) => queue.run(undefined, () => verify(one, password))));
  return found.includes(true);
}

/** The stored hash is part of it: a changed password forgets the old one at once. */
function digestOf(stored: string, password: string): string {
  return createHmac('sha256', key).update(stored).update('\0').update(password).digest('base64');
}

function isVerified(digest: string, within: number): boolean {
  const at = verified.get(digest);
  return at !== undefined && Date.now() - at < within;
}
