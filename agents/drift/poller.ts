/**
 * Looks at what tells nobody when it changes (processes, modes of files, sets), no more often than every `everyMs`, and so seldom
 * that it takes no more than about half a percent of a processor.
 */
export class Poller {
  readonly #job: () => Promise<number>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** `job` gives the number of things that it looked at. */
  constructor(everyMs: number, job: () => Promise<number>) {
    this.#everyMs = everyMs;
    this.#job = job;
    this.#schedule(everyMs);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #schedule(ms: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#run(), ms);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    let looked = 0;
    try {
      looked = await this.#job();
    } catch {
      // what cannot be read now is read at the next full synchronisation
    }
    this.#schedule(Math.min(Math.max(this.#everyMs, looked * MS_PER_LOOK), LONGEST_MS));
  }
}

/** Looking at a file takes some 40 µs of a processor. */
const MS_PER_LOOK = 8;
const LONGEST_MS = 30_000;
