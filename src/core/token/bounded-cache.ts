/** Bytes. */
export const MiB = 2 ** 20;

/** What entries may take together. */
export interface Bounds {
  readonly entries: number;
  /** As `bytesOf` has them. */
  readonly bytes: number;
}

/** Keeps values until there are too many, or they are too large together: then the oldest go first. What is too large alone is not kept. */
export class BoundedCache<V> {
  readonly #most: Bounds;
  readonly #entries = new Map<string, { readonly value: V; readonly bytes: number }>();
  #bytes = 0;

  constructor(most: Bounds) {
    this.#most = most;
  }

  /** About how much memory all entries take. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Keeps a value as the newest. `bytes`: what it takes, its key aside. */
  set(key: string, value: V, bytes: number): void {
    this.delete(key);
    const entry = { value, bytes: bytes + 2 * key.length };
    if (entry.bytes > this.#most.bytes) return;
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#most.entries && this.#bytes <= this.#most.bytes) return;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}

/** About how many bytes of memory a value takes, judged by its JSON: right in its order, which is enough for a bound. */
export function bytesOf(value: unknown): number {
  return 2 * JSON.stringify(value).length;
}
