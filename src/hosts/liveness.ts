/**
 * Which hosts answer, by this process's monotonic clock: wall clocks that jump, here or on a host, change nothing. A host is up
 * for `downAfterMs` after each contact in either direction.
 */
export class Liveness {
  readonly #downAfterMs: number;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #contacts = new Map<string, number>();

  constructor(downAfterMs: number, now: () => number = () => performance.now()) {
    this.#downAfterMs = downAfterMs;
    this.#now = now;
    this.#startedAt = now();
  }

  contact(hostId: string): void {
    this.#contacts.set(hostId, this.#now());
  }

  forget(hostId: string): void {
    this.#contacts.delete(hostId);
  }

  /** True when the host was heard of lately. */
  isUp(hostId: string): boolean {
    const last = this.#contacts.get(hostId);
    return last !== undefined && this.#now() - last < this.#downAfterMs;
  }

  /**
   * True when the host was silent long enough to count as down. Not the opposite of isUp: right after a start nothing has been
   * heard of anybody, and that says nothing about them.
   */
  isDown(hostId: string): boolean {
    const last = this.#contacts.get(hostId) ?? this.#startedAt;
    return this.#now() - last >= this.#downAfterMs;
  }

  /** Milliseconds since the last contact; null when there was none in this process's life. */
  silence(hostId: string): number | null {
    const last = this.#contacts.get(hostId);
    return last === undefined ? null : this.#now() - last;
  }
}
