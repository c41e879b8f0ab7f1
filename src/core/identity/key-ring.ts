import { randomBytes } from 'node:crypto';
import {
  type IdentityKeyRow,
  insertIdentityKey,
  listIdentityKeys,
  removeIdentityKeys,
  removeOtherIdentityKeys,
} from '../../store/identity/keys.js';
import type { Store, Tx } from '../../store/store.js';
import { decrypt, encrypt } from './cipher.js';

/** A key that is ready for use. */
export interface RingKey {
  /** Eight hexadecimal digits. */
  readonly id: string;
  readonly secret: Buffer;
  /** Seconds since 1970. */
  readonly createdAt: number;
}

export type KeyPurpose = IdentityKeyRow['purpose'];

/** How old what is known of the keys may be when one of them is used to sign or seal. */
const FRESH_MS = 60_000;

/**
 * The keys of one purpose, newest first. They are rows, sealed by the key in the state directory, so that all controllers
 * have the same ones; each controller looks for newer ones once a minute, and at once for one that it does not know.
 */
export class KeyRing {
  readonly #store: Store;
  readonly #master: Buffer;
  readonly #purpose: KeyPurpose;
  #keys: readonly RingKey[] = [];
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(store: Store, master: Buffer, purpose: KeyPurpose) {
    this.#store = store;
    this.#master = master;
    this.#purpose = purpose;
  }

  /** The key to sign or seal with; the first one is made here. */
  newest(): RingKey | Promise<RingKey> {
    const key = this.#keys[0];
    if (key && performance.now() - this.#readAt < FRESH_MS) return key;
    return this.#readNewest();
  }

  /** A key by its id; one that is not known is looked up by a read that begins after this call. */
  find(id: string): RingKey | undefined | Promise<RingKey | undefined> {
    const known = this.#keys.find((key) => key.id === id);
    return known ?? this.#read().then(() => this.#keys.find((key) => key.id === id));
  }

  /** All keys as the database has them, newest first. */
  async all(): Promise<readonly RingKey[]> {
    await this.#read();
    return this.#keys;
  }

  /** Makes a newer key; with `after`, only when the newest is at least that many seconds old. */
  async rotate(after = 0): Promise<RingKey> {
    await this.#store.tx(async (tx) => {
      const [newest] = await listIdentityKeys(tx, this.#purpose);
      if (newest && after > 0 && newest.created_at + after > now()) return;
      await this.#insert(tx, newest);
    });
    await this.#read();
    return this.#keys[0]!;
  }

  /** Makes a newer key and forgets all others, as one. */
  async replace(): Promise<void> {
    await this.#store.tx(async (tx) => {
      const [newest] = await listIdentityKeys(tx, this.#purpose);
      await removeOtherIdentityKeys(tx, this.#purpose, await this.#insert(tx, newest));
    });
    await this.#read();
  }

  /** Forgets keys for good: what only they sign or open is lost. The newest always stays. */
  async forget(ids: readonly string[]): Promise<void> {
    const gone = ids.filter((id) => id !== this.#keys[0]?.id);
    if (gone.length === 0) return;
    await this.#store.tx((tx) => removeIdentityKeys(tx, this.#purpose, gone));
    await this.#read();
  }

  async #readNewest(): Promise<RingKey> {
    await this.#read();
    if (this.#keys.length === 0) {
      await this.#store.tx(async (tx) => {
        if ((await listIdentityKeys(tx, this.#purpose)).length === 0) await this.#insert(tx);
      });
      await this.#read();
    }
    return this.#keys[0]!;
  }

  /** Inserts a key that is newer than the one that is the newest, be it of the same second or of a faster clock; gives its id. */
  async #insert(tx: Tx, newest?: IdentityKeyRow): Promise<string> {
    const bytes = randomBytes(4);
    // tokens begin with the id: never with a dash, which command lines take for an option
    bytes[0]! &= 0x7f;
    const id = bytes.toString('hex');
    const secret = encrypt(this.#master, randomBytes(32).toString('base64'), `${this.#purpose}/${id}`);
    const created_at = Math.max(now(), (newest?.created_at ?? 0) + 1);
    await insertIdentityKey(tx, { id, purpose: this.#purpose, secret, created_at });
    return id;
  }

  /** Concurrent calls share a read, but only one that began after they did. */
  #read(): Promise<void> {
    if (!this.#reading) return this.#begin();
    this.#next ??= this.#reading.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const reading = this.#load().finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    this.#reading = reading;
    return reading;
  }

  async #load(): Promise<void> {
    const rows = await listIdentityKeys(this.#store.read, this.#purpose);
    this.#keys = rows.map((row) => ({
      id: row.id,
      secret: this.#known(row) ?? this.#open(row),
      createdAt: row.created_at,
    }));
    this.#readAt = performance.now();
  }

  #known(row: IdentityKeyRow): Buffer | undefined {
    return this.#keys.find((key) => key.id === row.id)?.secret;
  }

  #open({ id, purpose, secret }: IdentityKeyRow): Buffer {
    try {
      return Buffer.from(decrypt(this.#master, secret, `${purpose}/${id}`), 'base64');
    } catch (error) {
      throw new Error(
        `${purpose} key ${id} in the database cannot be opened with this controller's credential-key: every controller of ` +
          'one database needs the same file; copy it from the others, or restore it',
        { cause: error },
      );
    }
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
