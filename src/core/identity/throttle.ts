import { createHash } from 'node:crypto';
import { TooBusy } from '../errors.js';

/** Failures after which further attempts are slowed. */
const FREE_FAILURES = 5;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;
/** A quiet time after which failures are forgotten. */
const FORGET_MS = 15 * 60 * 1000;
const MOST_ENTRIES = 10_000;
/** Attempts of one key that may wait, so that nobody fills the memory with them; more are refused unseen. */
const MOST_WAITING = 20;
/** Attempts that may wait for another with the same secret. */
const MOST_JOINED = 1000;

interface Tried {
  failures: number;
  /** When the last attempt began or failed. */
  at: number;
  /** Attempts under way that did not have to wait: each may become a failure. */
  running: number;
  /** The others go one after another. */
  queue: Promise<unknown>;
  waiting: number;
  joined: number;
  /** Attempts under way, by what they guess. */
  readonly guesses: Map<string, Promise<boolean>>;
}

/**
 * Slows password guessing: after some failures of one key (account and address), those under way counted as such, its attempts
 * are taken one at a time, and each failure is answered later than the one before. Attempts on the account from elsewhere are not
 * held up.
 */
export class FailureThrottle {
  readonly #tried = new Map<string, Tried>();
  readonly #sleep: (ms: number) => Promise<void>;

  constructor(sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))) {
    this.#sleep = sleep;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#tried.size;
  }

  /**
   * Runs an attempt, which says whether it succeeded. `guess` stands for its secret: the same one again while it is being looked
   * at tells nobody more, so it waits for the first to succeed and is not counted. Throws TooBusy when too many wait.
   */
  async run(name: string, attempt: () => Promise<boolean>, guess?: string): Promise<boolean> {
    // names are the caller's, of any length
    const key = createHash('sha256').update(name).digest('base64');
    const tried = this.#find(key);
    const same = guess === undefined ? undefined : tried.guesses.get(guess);
    if (same) return await this.#join(key, tried, same, attempt);
    const result = this.#take(key, tried, attempt);
    if (guess === undefined) return await result;
    tried.guesses.set(guess, result);
    try {
      return await result;
    } finally {
      tried.guesses.delete(guess);
      this.#release(key, tried);
    }
  }

  async #take(key: string, tried: Tried, attempt: () => Promise<boolean>): Promise<boolean> {
    if (tried.failures + tried.running < FREE_FAILURES) {
      tried.running++;
      try {
        return this.#settle(key, tried, await attempt());
      } finally {
        tried.running--;
        this.#release(key, tried);
      }
    }
    if (tried.waiting >= MOST_WAITING) {
      throw new TooBusy('Too many attempts to authenticate are waiting.', LONGEST_DELAY_MS / 1000);
    }
    tried.waiting++;
    const turn = tried.queue.then(async () => {
      tried.waiting--;
      try {
        const succeeded = await attempt();
        if (!succeeded && tried.failures >= FREE_FAILURES) await this.#sleep(delayAfter(tried.failures));
        return this.#settle(key, tried, succeeded);
      } finally {
        this.#release(key, tried);
      }
    });
    tried.queue = turn.catch(() => {});
    return await turn;
  }

  async #join(
    key: string,
    tried: Tried,
    same: Promise<boolean>,
    attempt: () => Promise<boolean>,
  ): Promise<boolean> {
    if (tried.joined >= MOST_JOINED) {
      throw new TooBusy('Too many attempts to authenticate are waiting.', LONGEST_DELAY_MS / 1000);
    }
    tried.joined++;
    try {
      return (await same) && this.#settle(key, tried, await attempt());
    } finally {
      tried.joined--;
      this.#release(key, tried);
    }
  }

  #find(key: string): Tried {
    const known = this.#tried.get(key);
    if (known) {
      if (Date.now() - known.at > FORGET_MS) known.failures = 0;
      return known;
    }
    const tried: Tried = {
      failures: 0,
      at: Date.now(),
      running: 0,
      queue: Promise.resolve(),
      waiting: 0,
      joined: 0,
      guesses: new Map(),
    };
    this.#tried.set(key, tried);
    this.#forgetOld();
    return tried;
  }

  #settle(key: string, tried: Tried, succeeded: boolean): boolean {
    if (succeeded) {
      tried.failures = 0;
    } else {
      tried.failures++;
      tried.at = Date.now();
      // the last that failed is the last to be forgotten
      this.#tried.delete(key);
      this.#tried.set(key, tried);
    }
    return succeeded;
  }

  #release(key: string, tried: Tried): void {
    const busy = tried.running + tried.waiting + tried.joined + tried.guesses.size > 0;
    if (tried.failures === 0 && !busy && this.#tried.get(key) === tried) this.#tried.delete(key);
  }

  #forgetOld(): void {
    const limit = Date.now() - FORGET_MS;
    for (const [key, tried] of this.#tried) {
      if (this.#tried.size <= MOST_ENTRIES && tried.at >= limit) return;
      this.#tried.delete(key);
    }
  }
}

function delayAfter(failures: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (failures - FREE_FAILURES), LONGEST_DELAY_MS);
}
