import type { Heartbeat } from '../protocol/messages.js';
import { updateHost } from '../store/hosts.js';
import { nowText, type Store } from '../store/store.js';

/** How long what was heard gathers: after a restart every host is heard of within seconds, and each commit waits for the disk. */
const GATHER_MS = 1_000;

/** Stores when hosts were last heard of and what they use, of many hosts in one transaction. */
export class SeenHosts {
  readonly #store: Store;
  readonly #onError: (error: unknown) => void;
  #noted = new Map<string, { readonly usage: string; readonly last_seen_at: string }>();
  #timer: NodeJS.Timeout | null = null;
  #storing: Promise<void> = Promise.resolve();

  constructor(store: Store, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  note(hostId: string, usage: Heartbeat['usage']): void {
    this.#noted.set(hostId, { usage: JSON.stringify(usage), last_seen_at: nowText() });
    this.#timer ??= setTimeout(() => this.#begin(), GATHER_MS);
  }

  forget(hostId: string): void {
    this.#noted.delete(hostId);
  }

  /** Stores what is left. */
  async close(): Promise<void> {
    if (this.#timer) this.#begin();
    await this.#storing;
  }

  #begin(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    // the next heartbeats say it again: what cannot be stored now is not kept
    this.#storing = this.#storing.then(() => this.#flush()).catch(this.#onError);
  }

  async #flush(): Promise<void> {
    const noted = this.#noted;
    this.#noted = new Map();
    if (noted.size === 0) return;
    await this.#store.tx(async (tx) => {
      // always in the same order: other controllers do the same
      for (const hostId of [...noted.keys()].sort()) await updateHost(tx, hostId, noted.get(hostId)!);
    });
  }
}
