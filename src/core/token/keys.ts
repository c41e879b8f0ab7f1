import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

interface Key {
  readonly id: string;
  readonly secret: Buffer;
  /** Seconds since 1970. */
  readonly createdAt: number;
}

const ID_BYTES = 4;
const MAC_BYTES = 32;
/** How often a token with an unknown key makes us look whether another controller has rotated the file. */
const REREAD_MS = 1000;

/**
 * The keys that sign tokens, kept in a file (0600). The first signs; older ones still verify until every token they
 * signed has expired.
 */
export class TokenKeys {
  readonly #file: string;
  readonly #lifetime: number;
  #keys: readonly Key[];
  #readAt = 0;

  /** Reads the file, or makes it with one key. `lifetime` is that of tokens, in seconds. */
  constructor(file: string, lifetime: number) {
    this.#file = file;
    this.#lifetime = lifetime;
    this.#keys = readKeys(file) ?? this.#write([newKey()]);
  }

  /** The payload signed by the newest key, as text. */
  sign(payload: Buffer): string {
    const key = this.#keys[0]!;
    const signed = Buffer.concat([Buffer.from(key.id, 'hex'), payload]);
    return Buffer.concat([signed, mac(key, signed)]).toString('base64url');
  }

  /** The payload of a text that one of the keys has signed, else null. */
  verify(token: string): Buffer | null {
    if (token.length > 512) return null;
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length <= ID_BYTES + MAC_BYTES || bytes.toString('base64url') !== token) return null;
    const key = this.#find(bytes.subarray(0, ID_BYTES).toString('hex'));
    if (!key) return null;
    const signed = bytes.subarray(0, -MAC_BYTES);
    if (!timingSafeEqual(mac(key, signed), bytes.subarray(-MAC_BYTES))) return null;
    return signed.subarray(ID_BYTES);
  }

  /** Begins to sign with a new key; forgets those whose tokens have all expired. */
  rotate(): void {
    const now = Math.floor(Date.now() / 1000);
    const current = readKeys(this.#file) ?? this.#keys;
    // a key stops signing when its successor is made
    const kept = current.filter((_, i) => i === 0 || current[i - 1]!.createdAt + this.#lifetime > now);
    this.#keys = this.#write([newKey(), ...kept]);
  }

  /** Rotates when the newest key has signed for that many seconds, at whichever controller that was. */
  rotateAfter(seconds: number): void {
    this.#keys = readKeys(this.#file) ?? this.#keys;
    if (this.#keys[0]!.createdAt + seconds <= Date.now() / 1000) this.rotate();
  }

  #find(id: string): Key | undefined {
    const key = this.#keys.find((k) => k.id === id);
    if (key || Date.now() - this.#readAt < REREAD_MS) return key;
    this.#readAt = Date.now();
    this.#keys = readKeys(this.#file) ?? this.#keys;
    return this.#keys.find((k) => k.id === id);
  }

  #write(keys: readonly Key[]): readonly Key[] {
    mkdirSync(dirname(this.#file), { recursive: true });
    const content = keys.map((k) => ({
      id: k.id,
      secret: k.secret.toString('base64'),
      created_at: k.createdAt,
    }));
    const temporary = `${this.#file}.new`;
    writeFileSync(temporary, `${JSON.stringify(content)}\n`, { mode: 0o600 });
    chmodSync(temporary, 0o600);
    renameSync(temporary, this.#file);
    return keys;
  }
}

function readKeys(file: string): readonly Key[] | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const content = JSON.parse(text) as { id: string; secret: string; created_at: number }[];
    const keys = content.map((k) => ({
      id: k.id,
      secret: Buffer.from(k.secret, 'base64'),
      createdAt: k.created_at,
    }));
    if (keys.length === 0 || keys.some((k) => k.secret.length < 32)) throw new Error('no usable key');
    return keys;
  } catch (error) {
    throw new Error(
      `token keys in ${file} cannot be read (${(error as Error).message}): restore the file, or remove it to begin anew, which ends every token`,
      { cause: error },
    );
  }
}

function newKey(): Key {
  const id = randomBytes(ID_BYTES);
  // tokens begin with the id: never with a dash, which command lines take for an option
  id[0]! &= 0x7f;
  return {
    id: id.toString('hex'),
    secret: randomBytes(32),
    createdAt: Math.floor(Date.now() / 1000),
  };
}

function mac(key: Key, bytes: Buffer): Buffer {
  return createHmac('sha256', key.secret).update(bytes).digest();
}
