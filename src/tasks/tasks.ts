import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from '../protocol/log.js';
import { afterCommit, isRetriedState, type Reader, type Store, type Tx } from '../store/store.js';
import { inSavepoint, type NewTask, type TakenTask, type TaskRow, TaskRows } from '../store/tasks.js';
import { Killed, type KillPoint, pointsOf } from './kill-points.js';
import type { TaskKind } from './kind.js';
import { Runner } from './runner.js';
import { messageOf, Run, type StepResult } from './step.js';

export interface TasksOptions {
  readonly store: Store;
  readonly log: Logger;
  /** Names this process among the controllers; by default host name and process id. */
  readonly owner?: string;
  /** Seconds that a step outside the database may run without a sign of life before another process takes it over. */
  readonly leaseSeconds?: number;
  /** Seconds between looks for tasks of processes that ended. */
  readonly pollSeconds?: number;
  /** Seconds before the second attempt of a step; doubled with each further one, at most a minute. */
  readonly retrySeconds?: number;
}

/** A task to begin. */
export interface TaskRequest {
  readonly kind: string;
  readonly object: { readonly kind: string; readonly id: string };
  readonly payload?: object;
  readonly projectId: string | null;
  readonly requestId: string | null;
  /** Why this ends what is under way with the object; without it, that there is something is an error. */
  readonly supersedes?: string;
}

const MOST_PAUSE_S = 60;
const DONE_KEPT_S = 86_400;
const FAILED_KEPT_S = 7 * 86_400;

/**
 * Durable work of several steps. `start` and `wake` run steps that are purely the database's at once, in the caller's
 * transaction; the runner does the others, what is to be tried again, and what a process left that ended.
 */
export class Tasks {
  readonly rows: TaskRows;
  readonly owner: string;
  readonly #store: Store;
  readonly #log: Logger;
  readonly #retrySeconds: number;
  readonly #leaseSeconds: number;
  readonly #kinds = new Map<string, TaskKind>();
  readonly #runner: Runner;

  constructor(options: TasksOptions) {
    this.#store = options.store;
    this.#log = options.log;
    this.rows = new TaskRows(options.store);
    this.owner = options.owner ?? `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
    this.#leaseSeconds = options.leaseSeconds ?? 15;
    this.#retrySeconds = options.retrySeconds ?? 0.5;
    this.#runner = new Runner({
      store: options.store,
      log: options.log,
      rows: this.rows,
      owner: this.owner,
      leaseSeconds: this.#leaseSeconds,
      pollSeconds: options.pollSeconds ?? 1,
      kinds: this.#kinds,
      pauseAfter: (attempts) => this.#pauseAfter(attempts),
      logFailure: (row, error) => this.#logFailure(row, error),
      logStep: (before, after) => this.#logStep(before, after),
    });
  }

  register(...kinds: readonly TaskKind[]): void {
    for (const kind of kinds) {
      if (this.#kinds.has(kind.name)) throw new Error(`task kind ${kind.name} is registered twice`);
      if (!kind.steps[kind.first]) throw new Error(`task kind ${kind.name} has no step ${kind.first}`);
      this.#kinds.set(kind.name, kind);
    }
  }

  get kinds(): readonly TaskKind[] {
    return [...this.#kinds.values()];
  }

  /** Every point of every kind at which a process can end. */
  get killPoints(): readonly KillPoint[] {
    return this.kinds.flatMap(pointsOf);
  }

  /**
   * Begins a task in the transaction that makes it necessary, and runs what it can of it there. Errors of those steps are the
   * caller's. Gives the task's id.
   */
  async start(tx: Tx, request: TaskRequest): Promise<string> {
    const { kind, row } = await this.#insert(tx, request, null);
    await this.#advance(tx, kind, row, (run) => this.#step(tx, run));
    return row.id;
  }

  /**
   * Begins a task that this process itself goes on with, since it holds what the others cannot have, such as a client's connection.
   * Give the result to `finish` once the transaction has committed.
   */
  async begin(tx: Tx, request: TaskRequest): Promise<TakenTask> {
    const lease = { owner: this.owner, seconds: this.#leaseSeconds };
    return (await this.#insert(tx, request, lease)).row;
  }

  /** Runs a task that `begin` gave until it ends or waits. What fails is left to the runner. */
  async finish(row: TakenTask): Promise<void> {
    await this.#runner.work(row);
  }

  /**
   * There is news for an object's task: runs what it can of it in the transaction that brings the news. False when the object has
   * no task. A step that fails does not fail the transaction: it is tried again by the runner.
   */
  async wake(tx: Tx, object: { readonly kind: string; readonly id: string }): Promise<boolean> {
    const active = await this.rows.activeOf(tx, object.kind, object.id);
    if (!active) return false;
    const kind = this.#kinds.get(active.kind);
    if (kind && this.#isPure(kind, active)) {
      const row = await this.rows.takeOf(tx, object.kind, object.id);
      if (!row) return false;
      // it may have moved on since it was looked at
      if (this.#isPure(kind, row)) {
        await this.#advance(tx, kind, row, async (run) => {
          try {
            return await inSavepoint(tx, () => this.#step(tx, run));
          } catch (error) {
            if (error instanceof Killed || isRetriedState(error)) throw error;
            await run.fail(tx, messageOf(error), this.#pauseAfter(run.row.attempts));
            this.#logFailure(run.row, error);
            return null;
          }
        });
        return true;
      }
    }
    await this.rows.wake(tx, active.id);
    afterCommit(tx, () => this.#runner.poke());
    return true;
  }

  /** Whether something is under way with an object. */
  async isActive(db: Reader, object: { readonly kind: string; readonly id: string }): Promise<boolean> {
    return (await this.rows.activeOf(db, object.kind, object.id)) !== undefined;
  }

  /** Ends what is under way with an object, without undoing it: what comes next takes care of all of it. */
  async supersede(
    tx: Tx,
    object: { readonly kind: string; readonly id: string },
    why: string,
  ): Promise<void> {
    await this.rows.supersede(tx, object.kind, object.id, why);
  }

  /** Undoes a task. Throws when it has ended or its kind cannot be cancelled. */
  async cancel(tx: Tx, row: TaskRow): Promise<void> {
    await this.rows.requestCancel(tx, row.id);
    await this.wake(tx, { kind: row.object_kind, id: row.object_id });
    afterCommit(tx, () => this.#runner.poke());
  }

  /** Runs a waiting task now; begins a failed or cancelled one anew. */
  async retry(tx: Tx, row: TaskRow): Promise<void> {
    const kind = this.#kinds.get(row.kind);
    if (!kind) throw new Error(`there is no task kind ${row.kind}`);
    if (row.finished_at !== null) {
      await kind.onRetry?.(tx, new Run(this.rows, kind, { ...row, overdue: false }).task);
      await this.rows.reopen(tx, row.id, kind.first, kind.deadline);
    } else await this.rows.wake(tx, row.id);
    afterCommit(tx, () => this.#runner.poke());
  }

  /** Forgets tasks that ended well a day ago, and others after a week. */
  async prune(): Promise<void> {
    await this.#store.tx((tx) => this.rows.prune(tx, DONE_KEPT_S, FAILED_KEPT_S));
  }

  /** Begins to run what waits in the table. */
  async run(): Promise<void> {
    if (this.#store.dialect === 'sqlite') await this.#store.tx((tx) => this.rows.releaseAll(tx));
    this.#runner.start();
  }

  /** Resolves when no step runs any more; what was not finished is taken up by the next process. */
  async close(): Promise<void> {
    await this.#runner.close();
  }

  /** Runs everything that is due, until nothing is; for tests, and at the end of housekeeping. */
  async drain(): Promise<void> {
    await this.#runner.drain();
  }

  /** Seconds to wait after this many attempts. */
  #pauseAfter(attempts: number): number {
    return Math.min(MOST_PAUSE_S, this.#retrySeconds * 2 ** Math.max(0, attempts - 1));
  }

  #logFailure(row: TaskRow, error: unknown): void {
    this.#log.warn('a step of a task failed', {
      task: row.id,
      kind: row.kind,
      step: row.step,
      object: `${row.object_kind}/${row.object_id}`,
      request_id: row.request_id,
      attempts: row.attempts,
      error,
    });
  }

  /** Steps at debug, the end at info: with the request that began it. */
  #logStep(before: TaskRow, after: TaskRow): void {
    const ended = after.finished_at !== null;
    this.#log[ended ? 'info' : 'debug'](ended ? 'task ended' : 'task step', {
      task: before.id,
      kind: before.kind,
      step: before.step,
      object: `${before.object_kind}/${before.object_id}`,
      state: after.state,
      ...(after.waiting_for === null ? {} : { waiting_for: after.waiting_for }),
      ...(after.error === null ? {} : { failure: after.error }),
      request_id: before.request_id,
      ...(before.project_id === null ? {} : { project_id: before.project_id }),
    });
  }

  async #insert(tx: Tx, request: TaskRequest, lease: NewTask['lease']) {
    const kind = this.#kinds.get(request.kind);
    if (!kind) throw new Error(`there is no task kind ${request.kind}`);
    if (request.supersedes !== undefined) await this.supersede(tx, request.object, request.supersedes);
    const row = await this.rows.insert(tx, {
      id: randomUUID(),
      kind: kind.name,
      object: request.object,
      projectId: request.projectId,
      requestId: request.requestId,
      step: kind.first,
      payload: request.payload ?? {},
      deadline: kind.deadline,
      lease,
    });
    return { kind, row };
  }

  #isPure(kind: TaskKind, row: TaskRow): boolean {
    return (
      kind.steps[row.step] !== undefined && !new Run(this.rows, kind, { ...row, overdue: false }).hasEffect
    );
  }

  /** Steps one after the other in the transaction, as far as they are purely the database's. */
  async #advance(
    tx: Tx,
    kind: TaskKind,
    first: TakenTask,
    step: (run: Run) => Promise<StepResult | null>,
  ): Promise<void> {
    let row = first;
    for (;;) {
      const run = new Run(this.rows, kind, row);
      if (run.hasEffect) break;
      const result = await step(run);
      afterCommit(tx, () => run.reach('after'));
      if (result === null) break;
      const before = row;
      afterCommit(tx, () => this.#logStep(before, result.next));
      if (!result.ready) return;
      row = result.next;
    }
    afterCommit(tx, () => this.#runner.poke());
  }

  async #step(tx: Tx, run: Run): Promise<StepResult> {
    if (run.mustCancel) return await run.cancel(tx);
    run.reach('before');
    return await run.commit(tx, undefined, null);
  }
}
