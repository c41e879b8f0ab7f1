import type { DriftEvent } from '../protocol/messages.js';
import { listDrift, storeDrift } from '../store/drift.js';
import type { Store } from '../store/store.js';
import { noteDrift } from './trail.js';

const MOST_COMPARED = 1_000;

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
    const said = this.#known.get(hostId);
    if (
      events.length === 0 &&
      said === undefined &&
      (await listDrift(this.#store.read, hostId, 1)).length === 0
    ) {
      this.#known.set(hostId, text);
      return;
    }
    await this.#store.tx(async (tx) => {
      // a controller that has just started knows from the database only what was said before
      const before = said === undefined ? await listDrift(tx, hostId, MOST_COMPARED) : JSON.parse(said);
      await storeDrift(tx, hostId, events);
      noteDrift(tx, hostId, before, events);
    });
    this.#known.set(hostId, text);
  }

  forget(hostId: string): void {
    this.#known.delete(hostId);
  }
}
