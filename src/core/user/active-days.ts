import { noteAllActive } from '../../store/identity/logins.js';
import type { Store } from '../../store/store.js';

/** How long users gather whose day is to be noted: nobody waits for it, and each commit waits for the disk. */
const GATHER_MS = 500;
const AGAIN_MS = 5_000;
/** Users who are known to be noted, and of whom it waits to be written. */
const MOST_KNOWN = 10_000;
const AT_ONCE = 500;

/**
 * Notes on which day users have authenticated last, those of many logins in one transaction. What a controller that is killed had yet
 * to write is noted at the user's next login.
 */
export class ActiveDays {
  readonly #store: Store;
  #day = '';
  /** Users who are noted for that day, or about to be. */
  readonly #known = new Set<string>();
  readonly #waiting = new Map<string, string>();
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Writes soon that the user has authenticated on this day, `2026-01-31`, unless it has been written. */
  add(userId: string, day: string): void {
    if (this.#day !== day || this.#known.size >= MOST_KNOWN) this.#known.clear();
    this.#day = day;
    if (this.#known.has(userId) || this.#waiting.size >= MOST_KNOWN) return;
    this.#known.add(userId);
    this.#waiting.set(userId, day);
    this.#later(GATHER_MS);
  }

  /** Writes what waits. Rejects when it cannot: it is kept and tried again. */
  async flush(): Promise<void> {
    const before = this.#flushing;
    const flushing = before.catch(() => {}).then(() => this.#flush());
    this.#flushing = flushing;
    await flushing;
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  async #flush(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#waiting.size > 0) {
      const some = [...this.#waiting].slice(0, AT_ONCE);
      for (const [userId] of some) this.#waiting.delete(userId);
      try {
        await this.#store.tx((tx) => writeDays(tx, some), { unseen: true });
      } catch (error) {
        for (const [userId, day] of some) {
          if (!this.#waiting.has(userId)) this.#waiting.set(userId, day);
        }
        this.#later(AGAIN_MS);
        throw error;
      }
    }
  }

  #later(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      // what fails is tried again, and the database's trouble is in the log by then
      void this.flush().catch(() => {});
    }, ms).unref();
  }
}

async function writeDays(
  tx: Parameters<typeof noteAllActive>[0],
  users: readonly (readonly [string, string])[],
): Promise<void> {
  for (const day of new Set(users.map(([, each]) => each))) {
    const ids = users.filter(([, each]) => each === day).map(([userId]) => userId);
    await noteAllActive(tx, ids, day);
  }
}
