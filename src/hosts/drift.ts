import type { DriftEvent } from '../protocol/messages.js';
import { storeDrift } from '../store/drift.js';
import type { Store } from '../store/store.js';

/** Takes what hosts say of changes by other hands; a heartbeat that says the same again writes nothing. */
export class DriftReports {
  readonly #store: Store;
  /** What each host said last, as text. */
  readonly #known = new Map<string, string>();

  constructor(store: Store) {
    this.#store = store;
  }

  async take(hostId: string, events: readonly DriftEvent[]): Promise<void> {
    const text = JSON.stringify(events);
    if (this.#known.get(hostId) === text) return;
    await this.#store.tx((tx) => storeDrift(tx, hostId, events));
    this.#known.set(hostId, text);
  }

  forget(hostId: string): void {
    this.#known.delete(hostId);
  }
}
