/** Milliseconds of the machine's monotonic clock: the same in every process of this machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Notes by how much timers of this process are late; each call of `take` gives what came up since the last one. */
export class LoopLag {
  #samples: number[] = [];

  constructor(everyMs = 20) {
    let due = performance.now() + everyMs;
    setInterval(() => {
      const now = performance.now();
      // bounded, should nobody ask for long
      if (this.#samples.length < 100_000) this.#samples.push(Math.max(0, now - due));
      due = now + everyMs;
    }, everyMs).unref();
  }

  take(): number[] {
    const taken = this.#samples;
    this.#samples = [];
    return taken;
  }
}
