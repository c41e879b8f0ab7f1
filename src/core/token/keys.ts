import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyRing, RingKey } from '../identity/key-ring.js';

const ID_BYTES = 4;
const MAC_BYTES = 32;
/** Seconds for which another controller may go on signing with a key after its successor was made, clocks included. */
const STRAGGLE = 600;

/** Signs tokens with the newest key; older ones verify until every token that they signed is of no use any more. */
export class TokenKeys {
  readonly #ring: KeyRing;
  readonly #kept: number;

  /** `kept`: how long after it was signed a token may still have to be read, in seconds. */
  constructor(ring: KeyRing, kept: number) {
    this.#ring = ring;
    this.#kept = kept;
  }

  /** The payload signed by the newest key, as text. */
  async sign(payload: Buffer): Promise<string> {
    const key = await this.#ring.newest();
    const signed = Buffer.concat([Buffer.from(key.id, 'hex'), payload]);
    return Buffer.concat([signed, mac(key, signed)]).toString('base64url');
  }

  /** The payload of a text that one of the keys has signed, else null. */
  async verify(token: string): Promise<Buffer | null> {
    if (token.length > 512) return null;
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length <= ID_BYTES + MAC_BYTES || bytes.toString('base64url') !== token) return null;
    const key = await this.#ring.find(bytes.subarray(0, ID_BYTES).toString('hex'));
    if (!key) return null;
    const signed = bytes.subarray(0, -MAC_BYTES);
    if (!timingSafeEqual(mac(key, signed), bytes.subarray(-MAC_BYTES))) return null;
    return signed.subarray(ID_BYTES);
  }

  /** Begins to sign with a new key, if the newest has done so for that many seconds. */
  async rotate(after = 0): Promise<void> {
    await this.#ring.rotate(after);
  }

  /** Forgets keys whose tokens are all of no use any more. */
  async prune(): Promise<void> {
    const keys = await this.#ring.all();
    const limit = Math.floor(Date.now() / 1000) - this.#kept - STRAGGLE;
    // a key stops signing when its successor is made
    await this.#ring.forget(keys.filter((_, i) => i > 0 && keys[i - 1]!.createdAt < limit).map((k) => k.id));
  }

  /** Forgets all keys but a new one: every token ends. */
  async replace(): Promise<void> {
    await this.#ring.replace();
  }
}

function mac(key: RingKey, bytes: Buffer): Buffer {
  return createHmac('sha256', key.secret).update(bytes).digest();
}
