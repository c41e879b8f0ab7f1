import { replaceSealed, type SealedText, sealedOtherwise } from '../../store/identity/keys.js';
import type { Store } from '../../store/store.js';
import { decrypt, encrypt } from './cipher.js';
import type { KeyRing } from './key-ring.js';

const FORMAT = 'k1';
/** Texts sealed anew in one transaction. */
const BATCH = 200;
/** How long a key is kept, in seconds, after its successor was made: a controller may still seal with it for a minute. */
const KEPT = 86_400;

/**
 * Keeps secrets that must be read again (EC2 keys, TOTP and OAuth secrets) unreadable in the database and its backups. Each
 * sealed text names its key; when there is a newer key, all are sealed anew with it.
 */
export class Sealing {
  readonly #store: Store;
  readonly #master: Buffer;
  readonly #ring: KeyRing;

  constructor(store: Store, master: Buffer, ring: KeyRing) {
    this.#store = store;
    this.#master = master;
    this.#ring = ring;
  }

  /** The text sealed for one owner (an id): it opens only for the same one. */
  async seal(text: string, owner: string): Promise<string> {
    const key = await this.#ring.newest();
    return `${FORMAT}.${key.id}.${encrypt(key.secret, text, owner)}`;
  }

  /** Undoes `seal`. Throws when the key is gone, or the text is not the owner's. */
  async open(sealed: string, owner: string): Promise<string> {
    const [format, id, bytes] = sealed.split('.');
    // from before there were several keys
    if (id === undefined || bytes === undefined) return decrypt(this.#master, sealed, owner);
    const key = format === FORMAT ? await this.#ring.find(id) : undefined;
    if (!key) throw new Error(`the credential key ${id} is not in the database: ${owner} cannot be read`);
    return decrypt(key.secret, bytes, owner);
  }

  /** Makes a new key and seals everything anew with it; returns how many texts that were. */
  async rotate(): Promise<number> {
    await this.#ring.rotate();
    return await this.housekeeping();
  }

  /** When each key was made, newest first, in seconds since 1970. */
  async keys(): Promise<readonly { readonly id: string; readonly createdAt: number }[]> {
    return (await this.#ring.all()).map(({ id, createdAt }) => ({ id, createdAt }));
  }

  /** Seals anew what an older key has sealed; forgets keys that nothing needs any more. */
  async housekeeping(): Promise<number> {
    const newest = await this.#ring.newest();
    const current = `${FORMAT}.${newest.id}.`;
    let count = 0;
    const unreadable = new Map<string, string>();
    for (;;) {
      const found = await sealedOtherwise(this.#store.read, current, BATCH + unreadable.size);
      const old = found.filter((row) => unreadable.get(nameOf(row)) !== row.sealed);
      if (old.length === 0) break;
      const anew = await Promise.all(old.map(async (row) => ({ row, sealed: await this.#anew(row) })));
      const good = anew.filter((each) => each.sealed !== null);
      for (const { row, sealed } of anew) if (sealed === null) unreadable.set(nameOf(row), row.sealed);
      // another key has been made meanwhile: its maker goes on
      if (good.some(({ sealed }) => !sealed!.startsWith(current))) break;
      await this.#store.tx(async (tx) => {
        for (const { row, sealed } of good) await replaceSealed(tx, row, sealed!);
      });
      count += good.length;
    }
    await this.#forget([...unreadable.values()]);
    return count;
  }

  /** The text sealed by the newest key; null when it cannot be opened: one such must not keep the others from it. */
  async #anew({ id, sealed }: SealedText): Promise<string | null> {
    let text: string;
    try {
      text = await this.open(sealed, id);
    } catch {
      return null;
    }
    return await this.seal(text, id);
  }

  /** Forgets keys by which nothing is sealed any more, those of unreadable texts excepted. */
  async #forget(unreadable: readonly string[]): Promise<void> {
    const keys = await this.#ring.all();
    const limit = Math.floor(Date.now() / 1000) - KEPT;
    const left = await sealedOtherwise(this.#store.read, `${FORMAT}.${keys[0]?.id}.`, unreadable.length + 1);
    if (left.length > unreadable.length) return;
    const needed = new Set(left.map((row) => row.sealed.split('.')[1]));
    const old = keys.filter((key, i) => i > 0 && keys[i - 1]!.createdAt < limit && !needed.has(key.id));
    await this.#ring.forget(old.map((key) => key.id));
  }
}

function nameOf({ table, id }: SealedText): string {
  return `${table}/${id}`;
}
