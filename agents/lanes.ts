/**
 * Runs one job at a time on all keys that came up meanwhile: for work that is batched, as one `iptables-restore` for many
 * ports. `null` stands for everything and swallows single keys.
 */
export class BatchLane<K> {
  readonly #job: (keys: ReadonlySet<K> | null) => Promise<void>;
  #next: { keys: Set<K> | null; done: Promise<void> } | null = null;
  #current: Promise<void> = Promise.resolve();

  constructor(job: (keys: ReadonlySet<K> | null) => Promise<void>) {
    this.#job = job;
  }

  /** Resolves when a run that includes the keys has ended; rejects as the job does. */
  add(keys: Iterable<K> | null): Promise<void> {
    if (this.#next) {
      if (keys === null) this.#next.keys = null;
      else if (this.#next.keys) for (const key of keys) this.#next.keys.add(key);
      return this.#next.done;
    }
    const batch = { keys: keys === null ? null : new Set(keys), done: Promise.resolve() };
    this.#next = batch;
    const run = async () => {
      this.#next = null;
      await this.#job(batch.keys);
    };
    batch.done = this.#current.then(run, run);
    this.#current = batch.done;
    return batch.done;
  }

  /** Resolves when all that was added so far has been done. */
  idle(): Promise<void> {
    return this.#current;
  }
}

/** Runs a job per key: one key's one after another, those of different keys at the same time up to a limit. */
export class ObjectLane<K> {
  readonly #job: (key: K) => Promise<void>;
  readonly #limit: number;
  readonly #prepare: (key: K) => Promise<void>;
  readonly #lanes = new Map<K, BatchLane<K>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** `prepare` runs before each job, outside the limit: waiting for a download takes nobody's place. */
  constructor(
    limit: number,
    job: (key: K) => Promise<void>,
    prepare: (key: K) => Promise<void> = async () => {},
  ) {
    this.#limit = limit;
    this.#prepare = prepare;
    this.#job = job;
  }

  /** Resolves when a run that began after this call has ended. */
  async add(key: K): Promise<void> {
    let lane = this.#lanes.get(key);
    if (!lane) {
      lane = new BatchLane<K>(() => this.#limited(key));
      this.#lanes.set(key, lane);
    }
    const done = lane.add([key]);
    await done;
    if (lane.idle() === done && this.#lanes.get(key) === lane) this.#lanes.delete(key);
  }

  /** Resolves when what was added for the key so far has been done. */
  idle(key: K): Promise<void> {
    return this.#lanes.get(key)?.idle() ?? Promise.resolve();
  }

  /** Resolves when what was added for any key so far has been done, or has failed. */
  async allIdle(): Promise<void> {
    await Promise.allSettled([...this.#lanes.values()].map((lane) => lane.idle()));
  }

  async #limited(key: K): Promise<void> {
    await this.#prepare(key).catch(() => {});
    if (this.#running >= this.#limit) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#running++;
    try {
      await this.#job(key);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
