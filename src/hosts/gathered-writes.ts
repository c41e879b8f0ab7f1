import type { Store, Tx } from '../store/store.js';

type Body = (tx: Tx) => Promise<unknown>;

interface Waiting {
  readonly body: Body;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds from one transaction's beginning to the next one's. A body that comes alone does not wait. */
const GATHER_MS = 20;
/** Bodies of one transaction: others wait for the write lock meanwhile. */
const MOST_AT_ONCE = 64;

/**
 * Runs what many hosts have to write in few transactions. Each commit on SQLite waits for the disk, and this process with it: a hundred
 * hosts that answer a change at once would hold up everybody for a hundred commits. On PostgreSQL commits hold nobody up; there every
 * body has a transaction of its own.
 */
export class GatheredWrites {
  readonly #store: Store;
  readonly #waiting: Waiting[] = [];
  #beganAt = Number.NEGATIVE_INFINITY;
  #scheduled = false;
  #running: Promise<void> | null = null;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Resolves with what the body gives once it is committed; rejects with what it throws, which is nobody else's trouble. Like every
   * transaction body it may be run again.
   */
  run<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#store.dialect !== 'sqlite') return this.#store.tx(body);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ body, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when nothing waits any more. */
  async close(): Promise<void> {
    while (this.#waiting.length > 0 || this.#running) {
      await (this.#running ?? this.#begin());
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#running || this.#waiting.length === 0) return;
    this.#scheduled = true;
    const begin = () => {
      this.#scheduled = false;
      if (!this.#running) void this.#begin();
    };
    const delay = this.#beganAt + GATHER_MS - performance.now();
    // even without a delay, what else has arrived in this turn of the loop comes along
    if (delay > 0) setTimeout(begin, delay);
    else setImmediate(begin);
  }

  #begin(): Promise<void> {
    this.#beganAt = performance.now();
    this.#running = this.#commit(this.#waiting.splice(0, MOST_AT_ONCE)).finally(() => {
      this.#running = null;
      this.#schedule();
    });
    return this.#running;
  }

  async #commit(some: readonly Waiting[]): Promise<void> {
    if (some.length > 1) {
      const values = await this.#store
        .tx(async (tx) => {
          const given: unknown[] = [];
          for (const { body } of some) given.push(await body(tx));
          return given;
        })
        .catch(() => null);
      if (values) {
        some.forEach(({ resolve }, i) => {
          resolve(values[i] as never);
        });
        return;
      }
    }
    // alone, or one of them failed: each by itself, so that only the one that fails does
    for (const { body, resolve, reject } of some) {
      await this.#store.tx(body).then((value) => resolve(value as never), reject);
    }
  }
}
