/** Failures after which further attempts are slowed. */
const FREE_FAILURES = 5;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;
/** A quiet time after which failures are forgotten. */
const FORGET_MS = 15 * 60 * 1000;
const MOST_ENTRIES = 10_000;
/** Attempts of one key that may wait; more are refused unseen, so that nobody fills the memory with them. */
const MOST_WAITING = 20;

interface Failures {
  count: number;
  at: number;
  /** Attempts of a key that has failed often go one after another. */
  queue: Promise<unknown>;
  waiting: number;
}

/**
 * Slows password guessing: after some failures of one key (account and address), its attempts are taken one at a time, and
 * each failure is answered later than the one before. Attempts on the account from elsewhere are not held up.
 */
export class FailureThrottle {
  readonly #failures = new Map<string, Failures>();
  readonly #sleep: (ms: number) => Promise<void>;

  constructor(sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))) {
    this.#sleep = sleep;
  }

  /** Runs an attempt, which says whether it succeeded. */
  async run(key: string, attempt: () => Promise<boolean>): Promise<boolean> {
    const before = this.#failures.get(key);
    if (before && Date.now() - before.at > FORGET_MS) this.#failures.delete(key);
    const failures = this.#failures.get(key);
    if (!failures || failures.count < FREE_FAILURES) return await this.#settle(key, await attempt());
    if (failures.waiting >= MOST_WAITING) return false;
    failures.waiting++;
    const turn = failures.queue.then(async () => {
      failures.waiting--;
      const succeeded = await attempt();
      if (!succeeded) {
        await this.#sleep(Math.min(FIRST_DELAY_MS * 2 ** (failures.count - FREE_FAILURES), LONGEST_DELAY_MS));
      }
      return this.#settle(key, succeeded);
    });
    failures.queue = turn.catch(() => {});
    return await turn;
  }

  #settle(key: string, succeeded: boolean): boolean {
    if (succeeded) {
      this.#failures.delete(key);
      return true;
    }
    const failures = this.#failures.get(key) ?? { count: 0, at: 0, queue: Promise.resolve(), waiting: 0 };
    failures.count++;
    failures.at = Date.now();
    this.#failures.delete(key);
    this.#failures.set(key, failures);
    if (this.#failures.size > MOST_ENTRIES) {
      const oldest = this.#failures.keys().next().value;
      if (oldest !== undefined) this.#failures.delete(oldest);
    }
    return false;
  }
}
