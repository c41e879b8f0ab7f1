import { BoundedCache, type Bounds, bytesOf } from './bounded-cache.js';

/** Keeps what was derived from identity's rows until their epoch moves, within the bounds. */
export class EpochCache<V> {
  readonly #entries: BoundedCache<V>;
  #epoch = 0;

  constructor(most: Bounds) {
    this.#entries = new BoundedCache(most);
  }

  /** What is known for the key, else what `read` finds; null is not kept. `epoch` is as it was before anything was read. */
  async get(epoch: number, key: string, read: () => Promise<V>): Promise<V>;
  async get(epoch: number, key: string, read: () => Promise<V | null>): Promise<V | null>;
  async get(epoch: number, key: string, read: () => Promise<V | null>): Promise<V | null> {
    if (epoch === this.#epoch) {
      const known = this.#entries.get(key);
      if (known !== undefined) return known;
    }
    const value = await read();
    if (epoch > this.#epoch) {
      this.#entries.clear();
      this.#epoch = epoch;
    }
    // the epoch may have moved during the read: then it is good for this caller only
    if (value !== null && epoch === this.#epoch) this.#entries.set(key, value, bytesOf(value));
    return value;
  }
}
