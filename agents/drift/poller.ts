/**
 * Looks at what tells nobody when it changes (processes, modes of files, sets), no more often than every `everyMs`, and so seldom
 * that it takes no more than a thousandth of a processor.
 */
export class Poller {
  readonly #job: () => Promise<void>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  /** Microseconds of processor time that the job takes. */
  #cost = 1_000;

  constructor(everyMs: number, job: () => Promise<void>) {
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
    const began = process.cpuUsage();
    try {
      await this.#job();
    } catch {
      // what cannot be read now is read at the next full synchronisation
    }
    const { user, system } = process.cpuUsage(began);
    // what else the process did meanwhile is counted with it: a single long one is not believed
    this.#cost = Math.min(user + system, this.#cost * 2);
    this.#schedule(Math.min(Math.max(this.#everyMs, this.#cost), LONGEST_MS));
  }
}

const LONGEST_MS = 30_000;
