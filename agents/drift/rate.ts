export interface LookRateOptions {
  /** Milliseconds from a suspicion to the look, in which more of them gather. */
  readonly debounceMs?: number;
  /** Looks that may follow each other at once. */
  readonly burst?: number;
  /** Milliseconds in which one more look is earned. */
  readonly refillMs?: number;
  /** What one look may cost in milliseconds; a longer one counts as several. */
  readonly costMs?: number;
}

/**
 * Bounds how often the host is looked at because of what others do to it. A few looks follow their events at once; a program that
 * changes something without end makes no more than `costMs / refillMs` of a processor's time busy.
 */
export class LookRate {
  readonly #look: () => Promise<void>;
  readonly #debounceMs: number;
  readonly #burst: number;
  readonly #refillMs: number;
  readonly #costMs: number;
  #tokens: number;
  #refilledAt = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #looking = false;
  #again = false;
  #closed = false;

  constructor(look: () => Promise<void>, options: LookRateOptions = {}) {
    this.#look = look;
    this.#debounceMs = options.debounceMs ?? 200;
    this.#burst = options.burst ?? 20;
    this.#refillMs = options.refillMs ?? 5_000;
    this.#costMs = options.costMs ?? 1_000;
    this.#tokens = this.#burst;
  }

  /** Something may have changed. */
  suspect(): void {
    if (this.#closed || this.#timer) return;
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#refill();
    const short = 1 - this.#tokens;
    const ms = short > 0 ? Math.max(this.#debounceMs, short * this.#refillMs) : this.#debounceMs;
    this.#timer = setTimeout(() => void this.#run(), ms);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    this.#timer = null;
    this.#looking = true;
    const began = performance.now();
    try {
      await this.#look();
    } finally {
      this.#looking = false;
      this.#refill();
      // waiting for a long apply of ours is no cost of the look
      this.#tokens -= Math.min(4, Math.max(1, (performance.now() - began) / this.#costMs));
      if (this.#again) {
        this.#again = false;
        this.suspect();
      }
    }
  }

  #refill(): void {
    const now = performance.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#refilledAt) / this.#refillMs);
    this.#refilledAt = now;
  }
}
