import { raiseEpoch, readEpoch } from '../../store/identity/tokens.js';
import type { Store, Tx } from '../../store/store.js';

/**
 * A number that rises with every write that tokens depend on (users, projects, roles, grants, catalogue, revocations):
 * what was derived from those rows is good for as long as the number has not changed.
 *
 * It is a row, raised in the writing transaction. On SQLite there is one controller, which keeps it in memory too. On PostgreSQL
 * each use waits for a read that began after the use did; concurrent uses share one read. So a revocation holds from the next
 * request on, at every controller. Revocations have the number of their write and tokens the one that they were issued by: which
 * was first does not depend on clocks.
 */
export class IdentityEpoch {
  readonly #store: Store;
  /** On SQLite: the row's value, once it has been read. */
  #value: number | undefined;
  #reading: Promise<number> | undefined;
  #next: Promise<number> | undefined;
  #catching: Promise<number> | undefined;
  /** The last value that followers know of. */
  #followed = 0;
  readonly #followers: (() => Promise<void>)[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * The number now. Synchronous where it can be, since every request asks; it waits for followers that have yet to learn of it, and
   * fails when they do, so that nothing is judged by what no longer holds. The next caller lets them try again.
   */
  current(): number | Promise<number> {
    if (this.#store.dialect === 'sqlite') {
      return this.#value !== undefined && this.#followed === this.#value ? this.#value : this.#catchUp();
    }
    if (!this.#reading) return this.#read();
    // the read under way may have begun before a write that this caller must see: wait for the next one
    this.#next ??= this.#reading.then(
      () => this.#read(),
      () => this.#read(),
    );
    return this.#next;
  }

  /** Runs something whenever the number has changed, before any request counts on the new one. */
  follow(run: () => Promise<void>): void {
    this.#followers.push(run);
  }

  /** Runs a write transaction whose rows tokens depend on. */
  async write<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    const { result, value } = await this.#store.tx(async (tx) => ({
      result: await body(tx),
      value: await raiseEpoch(tx),
    }));
    // on PostgreSQL it is the next reader of the number that finds it changed
    if (this.#store.dialect === 'sqlite') {
      this.#value = Math.max(this.#value ?? 0, value);
      await this.settled();
    }
    return result;
  }

  /** Resolves when followers have been told of every write so far, or could not be: what was written is written. */
  async settled(): Promise<void> {
    try {
      await this.current();
    } catch {
      // whoever asks for the number next lets them try again, and hears of it
    }
  }

  /** Tells followers until they know of the last write; callers share one run. */
  #catchUp(): Promise<number> {
    this.#catching ??= (async () => {
      if (this.#value === undefined) {
        const read = await readEpoch(this.#store.read);
        // a write may have ended meanwhile
        this.#value = Math.max(this.#value ?? 0, read);
      }
      let value = this.#value;
      while (this.#followed !== value) {
        await this.#tellFollowers();
        this.#followed = value;
        value = this.#value;
      }
      return value;
    })().finally(() => {
      this.#catching = undefined;
    });
    return this.#catching;
  }

  #read(): Promise<number> {
    this.#next = undefined;
    const reading = this.#readAndTell().finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    this.#reading = reading;
    return reading;
  }

  async #readAndTell(): Promise<number> {
    const value = await readEpoch(this.#store.read);
    if (value !== this.#followed) {
      await this.#tellFollowers();
      this.#followed = value;
    }
    return value;
  }

  async #tellFollowers(): Promise<void> {
    for (const run of this.#followers) await run();
  }
}
