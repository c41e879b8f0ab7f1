/** Time without a look at the clock after which this process was stopped, or the machine asleep, rather than busy. */
const STALL_MS = 10_000;
const LOOK_MS = 1_000;
/** So long without learning what other controllers hear, and their silence says nothing. */
const CUT_OFF_MS = 10_000;

/**
 * Which hosts answer, by this process's monotonic clock: wall clocks that jump, here or on a host, change nothing. A host is up
 * for `downAfterMs` after each contact in either direction, with this controller or with another.
 */
export class Liveness {
  #downAfterMs: number;
  readonly #now: () => number;
  readonly #contacts = new Map<string, number>();
  /** Since when this process would have heard of every host that is alive. */
  #attentiveSince: number;
  #lookedAt: number;
  /** null: there are no others to learn from. */
  #learntAt: number | null = null;
  readonly #timer: NodeJS.Timeout;

  constructor(downAfterMs: number, now: () => number = () => performance.now()) {
    this.#downAfterMs = downAfterMs;
    this.#now = now;
    this.#attentiveSince = now();
    this.#lookedAt = now();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** From now on a host is up for this long after each contact. */
  downAfter(ms: number): void {
    this.#downAfterMs = ms;
  }

  /** The host was heard of, `age` milliseconds ago. */
  contact(hostId: string, age = 0): void {
    const at = this.#now() - age;
    const last = this.#contacts.get(hostId);
    if (last === undefined || at > last) this.#contacts.set(hostId, at);
  }

  forget(hostId: string): void {
    this.#contacts.delete(hostId);
  }

  /** What other controllers heard was learnt; from the first time on it has to be again and again. */
  learnt(): void {
    if (this.#isCutOff()) this.#attentiveSince = this.#now();
    this.#learntAt = this.#now();
  }

  /** True when the host was heard of lately. */
  isUp(hostId: string): boolean {
    const last = this.#contacts.get(hostId);
    return last !== undefined && this.#now() - last < this.#downAfterMs;
  }

  /**
   * True when the host was silent long enough to count as down. Not the opposite of isUp: right after a start, and after this
   * process was stopped or cut off from what others heard, nothing has been heard of anybody, and that says nothing about them.
   */
  isDown(hostId: string): boolean {
    this.#look();
    if (this.#isCutOff()) return false;
    const last = Math.max(this.#contacts.get(hostId) ?? Number.NEGATIVE_INFINITY, this.#attentiveSince);
    return this.#now() - last >= this.#downAfterMs;
  }

  /** Milliseconds since the last contact; null when none is known of. */
  silence(hostId: string): number | null {
    const last = this.#contacts.get(hostId);
    return last === undefined ? null : this.#now() - last;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #isCutOff(): boolean {
    return this.#learntAt !== null && this.#now() - this.#learntAt > CUT_OFF_MS;
  }

  #look(): void {
    const now = this.#now();
    if (now - this.#lookedAt > STALL_MS) this.#attentiveSince = now;
    this.#lookedAt = now;
  }
}
