import { TooBusy } from '../errors.js';

/** Hashing takes at most half of libuv's threads, so that files and names are still looked up. */
const AT_ONCE = Math.max(1, Math.floor(Number(process.env.UV_THREADPOOL_SIZE ?? 4) / 2));
/** Hashes that may wait for addresses: one or two seconds' work. */
const MOST_WAITING = 200;
/** Whose turn it is for work that is not bounded: who asks has been authenticated. */
const OURSELVES = '';

interface Waiting {
  readonly start: () => void;
  readonly refuse: (error: Error) => void;
}

/**
 * Bounds memory-hard hashing, which anybody may ask for by an attempt to log in: a few at once, addresses in turn. When too
 * many wait, the address with the most of them loses its last.
 */
export class HashQueue {
  #running = 0;
  /** By address, in the order of their turns. */
  readonly #waiting = new Map<string, Waiting[]>();

  /** Runs work for an address; without one it is never refused. Throws TooBusy when too much waits. */
  async run<T>(address: string | undefined, work: () => Promise<T>): Promise<T> {
    if (this.#running < AT_ONCE) this.#running++;
    else await this.#turn(address ?? OURSELVES);
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #turn(address: string): Promise<void> {
    return new Promise((start, refuse) => {
      const line = this.#waiting.get(address) ?? [];
      line.push({ start, refuse });
      this.#waiting.set(address, line);
      if (address !== OURSELVES) this.#shorten();
    });
  }

  #shorten(): void {
    let total = 0;
    let longest: [string, Waiting[]] | undefined;
    for (const entry of this.#waiting) {
      if (entry[0] === OURSELVES) continue;
      total += entry[1].length;
      if (!longest || entry[1].length > longest[1].length) longest = entry;
    }
    if (total <= MOST_WAITING || !longest) return;
    const [address, line] = longest;
    line.pop()!.refuse(new TooBusy('Too many are authenticating at this moment.', 2));
    if (line.length === 0) this.#waiting.delete(address);
  }

  /** Hands the place of what has ended to the next address in turn. */
  #next(): void {
    const [first] = this.#waiting;
    if (!first) {
      this.#running--;
      return;
    }
    const [address, line] = first;
    this.#waiting.delete(address);
    const { start } = line.shift()!;
    if (line.length > 0) this.#waiting.set(address, line);
    start();
  }
}
