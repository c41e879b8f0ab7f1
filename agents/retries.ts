import type { ObjectKey } from '../src/protocol/objects.js';

const LAST_RETRY_MS = 60_000;

/** What failed is tried again alone, after pauses that double up to a minute. */
export class Retries {
  readonly #again: (key: ObjectKey) => void;
  readonly #firstMs: number;
  readonly #failures = new Map<ObjectKey, { count: number; timer: NodeJS.Timeout }>();

  constructor(again: (key: ObjectKey) => void, firstMs = 1000) {
    this.#again = again;
    this.#firstMs = firstMs;
  }

  later(key: ObjectKey): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    clearTimeout(this.#failures.get(key)?.timer);
    const timer = setTimeout(
      () => this.#again(key),
      Math.min(this.#firstMs * 2 ** (count - 1), LAST_RETRY_MS),
    );
    timer.unref();
    this.#failures.set(key, { count, timer });
  }

  forget(key: ObjectKey): void {
    clearTimeout(this.#failures.get(key)?.timer);
    this.#failures.delete(key);
  }

  close(): void {
    for (const { timer } of this.#failures.values()) clearTimeout(timer);
  }
}
