import type { Logger } from '../protocol/log.js';
import type { Store } from '../store/store.js';
import type { TakenTask, TaskRow, TaskRows } from '../store/tasks.js';
import { Killed } from './kill-points.js';
import type { TaskKind } from './kind.js';
import { Fenced, messageOf, Run, type StepResult } from './step.js';

/** What a runner has to know: see Tasks. */
export interface RunnerOptions {
  readonly store: Store;
  readonly log: Logger;
  readonly rows: TaskRows;
  readonly owner: string;
  readonly leaseSeconds: number;
  readonly pollSeconds: number;
  readonly kinds: ReadonlyMap<string, TaskKind>;
  readonly pauseAfter: (attempts: number) => number;
  readonly logFailure: (row: TaskRow, error: unknown) => void;
  readonly logStep: (before: TaskRow, after: TaskRow) => void;
}

/** Tasks that one process runs at the same time. */
const MOST_AT_ONCE = 16;

/**
 * Takes due tasks under a lease and runs their steps. It looks when it is told that there is work, and every second for what has
 * become due and for what a process left that ended.
 */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #again = false;
  #started = false;
  /** Set when a test killed this runner: it does nothing more, and gives nothing back. */
  #dead = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#started = true;
    this.poke();
  }

  /** There is work: look now. */
  poke(): void {
    if (this.#looking) this.#again = true;
    else this.#schedule(0);
  }

  /** Resolves when nothing runs any more. Effects under way are told to end. */
  async close(): Promise<void> {
    this.#started = false;
    if (this.#timer) clearTimeout(this.#timer);
    this.#stop.abort(new Error('the controller is stopping'));
    await this.#looking;
    await Promise.all(this.#running);
  }

  /** Runs what is due until nothing is. */
  async drain(): Promise<void> {
    for (let rows = await this.#claim(); rows.length > 0; rows = await this.#claim()) {
      await Promise.all(rows.map((row) => this.work(row)));
    }
  }

  #schedule(ms: number): void {
    if (!this.#started || this.#dead) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#again = false;
      this.#looking = this.#look().then((seconds) => {
        this.#looking = null;
        this.#schedule(this.#again ? 0 : seconds * 1000);
      });
    }, ms);
    this.#timer.unref();
  }

  /** Starts what is due; gives the seconds until it is worth looking again. */
  async #look(): Promise<number> {
    const { store, rows, log, pollSeconds } = this.#options;
    try {
      const due = await rows.nextDue(store.read);
      if (due === null || due > 0) return Math.min(pollSeconds, due ?? pollSeconds);
      const claimed = this.#running.size < MOST_AT_ONCE ? await this.#claim() : [];
      for (const row of claimed) {
        const work = this.work(row).finally(() => {
          this.#running.delete(work);
          this.poke();
        });
        this.#running.add(work);
      }
      return claimed.length > 0 ? 0 : pollSeconds;
    } catch (error) {
      log.error('tasks could not be read', { error });
      return pollSeconds;
    }
  }

  async #claim(): Promise<TakenTask[]> {
    const { store, rows, owner, leaseSeconds, kinds } = this.#options;
    if (this.#dead || kinds.size === 0) return [];
    const free = MOST_AT_ONCE - this.#running.size;
    return await store.tx((tx) => rows.claim(tx, owner, leaseSeconds, [...kinds.keys()], free));
  }

  /** Runs steps of a claimed task until it ends or has to wait. */
  async work(first: TakenTask): Promise<void> {
    const { rows, kinds, store, log, pauseAfter, logFailure, logStep } = this.#options;
    let row = first;
    for (;;) {
      const run = new Run(rows, kinds.get(row.kind)!, row);
      try {
        const { next, ready } = await this.#step(run);
        logStep(row, next);
        if (!ready) return;
        row = next;
        if (!this.#stop.signal.aborted) continue;
        await store.tx((tx) => rows.release(tx, row.id, row.fence));
        return;
      } catch (error) {
        if (error instanceof Killed) this.#dead = true;
        if (this.#dead) return;
        if (error instanceof Fenced) {
          log.info('a task was taken over while this process worked on it', { task: row.id, kind: row.kind });
          return;
        }
        logFailure(row, error);
        try {
          await store.tx((tx) => run.fail(tx, messageOf(error), pauseAfter(row.attempts)));
        } catch (failure) {
          // the lease ends by itself, and with it the pause
          if (!(failure instanceof Fenced))
            log.error('a task’s failure could not be recorded', { task: row.id, failure });
        }
        return;
      }
    }
  }

  async #step(run: Run): Promise<StepResult> {
    const { store, leaseSeconds } = this.#options;
    if (run.mustCancel) return await store.tx((tx) => run.cancel(tx));
    run.reach('before');
    const effect = run.hasEffect ? await this.#underLease(run) : undefined;
    if (this.#dead) throw new Fenced('this process was killed');
    const result = await store.tx((tx) => run.commit(tx, effect, leaseSeconds));
    run.reach('after');
    return result;
  }

  /** Runs a step's effect while the lease is renewed; its signal fires when the lease is lost, or the task cancelled. */
  async #underLease(run: Run): Promise<unknown> {
    const { store, rows, leaseSeconds, log } = this.#options;
    const control = new AbortController();
    const renewal = setInterval(
      () => {
        if (this.#dead) return;
        store
          .tx((tx) => rows.renew(tx, run.row.id, run.row.fence, leaseSeconds))
          .then((lease) => {
            if (!lease) control.abort(new Fenced(`task ${run.row.id} was taken by somebody else`));
            else if (lease.cancelled && !run.undoing) control.abort(new Error('cancelled by an operator'));
          })
          .catch((error) => log.warn('a lease could not be renewed', { task: run.row.id, error }));
      },
      (leaseSeconds * 1000) / 3,
    );
    try {
      return await run.effect(AbortSignal.any([control.signal, this.#stop.signal]));
    } finally {
      clearInterval(renewal);
    }
  }
}
