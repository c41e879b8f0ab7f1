import type { ObjectKey } from '../src/protocol/objects.js';

/** An object that fails again and again is asked for by ever more requests: the first of them are kept. */
const MOST_KEPT = 50;

/** What some objects were changed by. */
export interface TakenRequests {
  readonly ids: readonly string[];
  giveBack(key: ObjectKey): void;
}

/** Requests that changed objects since those were last brought about: they go with the log of what is done about it. */
export class RequestIds {
  readonly #ids = new Map<ObjectKey, Set<string>>();

  add(key: ObjectKey, requestIds: readonly string[]): void {
    if (requestIds.length === 0) return;
    const known = this.#ids.get(key) ?? new Set<string>();
    for (const id of requestIds) if (known.size < MOST_KEPT) known.add(id);
    this.#ids.set(key, known);
  }

  /** Those of the keys. */
  of(keys: Iterable<ObjectKey>): string[] {
    const ids = new Set<string>();
    for (const key of keys) for (const id of this.#ids.get(key) ?? []) ids.add(id);
    return [...ids];
  }

  /** Keys that have some. */
  get keys(): readonly ObjectKey[] {
    return [...this.#ids.keys()];
  }

  /** Those of the keys, which have none from then on; what fails is done again, for the same requests, when given back. */
  take(keys: Iterable<ObjectKey>): TakenRequests {
    const taken = new Map<ObjectKey, readonly string[]>();
    for (const key of keys) {
      const ids = this.of([key]);
      if (this.#ids.delete(key)) taken.set(key, ids);
    }
    return {
      ids: [...new Set([...taken.values()].flat())],
      giveBack: (key) => this.add(key, taken.get(key) ?? []),
    };
  }
}
