import type { ObjectKey } from '../src/protocol/objects.js';

/** Requests that changed objects since those were last applied: they go with the log of what is done about it. */
export class RequestIds {
  readonly #ids = new Map<ObjectKey, Set<string>>();

  add(key: ObjectKey, requestIds: readonly string[]): void {
    if (requestIds.length === 0) return;
    const known = this.#ids.get(key) ?? new Set<string>();
    for (const id of requestIds) known.add(id);
    this.#ids.set(key, known);
  }

  /** Those of the keys, which have none from then on. */
  take(keys: Iterable<ObjectKey>): string[] {
    const ids = new Set<string>();
    for (const key of keys) {
      for (const id of this.#ids.get(key) ?? []) ids.add(id);
      this.#ids.delete(key);
    }
    return [...ids];
  }
}
