import type { Logger } from '../src/protocol/log.js';
import type { Heartbeat } from '../src/protocol/messages.js';

type Usage = Heartbeat['usage'];

const USAGE_MS = 30_000;
const NO_USAGE: Usage = { memory_used_mb: 0, disk_used_gb: 0, running_guests: 0 };

/** What is used of the host, read now and then, beside the heartbeats: nothing that hangs on the host may hold those up. */
export class UsageReadings {
  readonly #read: () => Promise<Usage>;
  readonly #log: Logger;
  #last: { readonly value: Usage; readonly at: number } | null = null;
  #reading = false;

  constructor(read: () => Promise<Usage>, log: Logger) {
    this.#read = read;
    this.#log = log;
  }

  /** The last reading; begins a new one when that is old. */
  current(): Usage {
    const due = !this.#last || performance.now() - this.#last.at >= USAGE_MS;
    if (due && !this.#reading) {
      this.#reading = true;
      void this.#readAgain();
    }
    return this.#last?.value ?? NO_USAGE;
  }

  async #readAgain(): Promise<void> {
    try {
      this.#last = { value: await this.#read(), at: performance.now() };
    } catch (error) {
      this.#log.warn('usage cannot be read', { error });
      this.#last = { value: this.#last?.value ?? NO_USAGE, at: performance.now() };
    } finally {
      this.#reading = false;
    }
  }
}
