/** Keeps what was derived from identity's rows until their epoch moves: at most `most` entries, of which the oldest goes first. */
export class EpochCache<V> {
  readonly #most: number;
  readonly #entries = new Map<string, V>();
  #epoch = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** What is known for the key, else what `read` finds; null is not kept. `epoch` is as it was before anything was read. */
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
    if (value === null || epoch !== this.#epoch) return value;
    this.#entries.set(key, value);
    if (this.#entries.size > this.#most) this.#entries.delete(this.#entries.keys().next().value!);
    return value;
  }
}
