import { setImmediate } from 'node:timers';

/** Milliseconds that queries may follow each other before requests, timers and sockets have a turn. */
const SLICE_MS = 15;

/**
 * Turns of the event loop. Queries on SQLite are answered at once, so a chain of them never lets the loop turn however long it is:
 * nothing else would be heard meanwhile. Whoever runs queries asks this before each whether to let the others have a turn.
 */
export class LoopTurns {
  #sliceBegan: number | null = null;

  /** True when queries have filled the slice of this turn. */
  due(): boolean {
    const now = performance.now();
    if (this.#sliceBegan !== null) return now - this.#sliceBegan > SLICE_MS;
    this.#sliceBegan = now;
    setImmediate(() => {
      this.#sliceBegan = null;
    });
    return false;
  }

  /** Resolves in the next turn of the loop. */
  next(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
