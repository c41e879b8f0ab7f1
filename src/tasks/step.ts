import type { Tx } from '../store/store.js';
import type { TakenTask, TaskRecord, TaskRows } from '../store/tasks.js';
import { causedBy } from '../store/trail.js';
import { type Moment, pointOf, reach } from './kill-points.js';
import { hasUndo, type Outcome, type Step, type Task, type TaskKind } from './kind.js';
import { noteStep } from './trail.js';

/** Somebody else has taken the task: what this runner did meanwhile is not recorded. */
export class Fenced extends Error {}

/** The task after a step; `ready`: its next step can run now. */
export interface StepResult {
  readonly next: TakenTask;
  readonly ready: boolean;
}

/** A task under way: the row as it was taken, brought up to date with each record. */
export class Run {
  readonly #rows: TaskRows;
  readonly kind: TaskKind;
  row: TakenTask;
  #committing = false;

  constructor(rows: TaskRows, kind: TaskKind, row: TakenTask) {
    this.#rows = rows;
    this.kind = kind;
    this.row = row;
  }

  get step(): Step {
    const step = this.kind.steps[this.row.step];
    if (!step) throw new Error(`task ${this.row.id}: kind ${this.kind.name} has no step ${this.row.step}`);
    return step;
  }

  get undoing(): boolean {
    return this.row.state === 'undoing';
  }

  /** An operator wants it undone, and that has not begun. */
  get mustCancel(): boolean {
    return this.row.cancel_requested === 1 && !this.undoing;
  }

  /** True when there is something to do before the transaction. */
  get hasEffect(): boolean {
    return (this.undoing ? this.step.undoEffect : this.step.effect) !== undefined;
  }

  get task(): Task {
    const { row } = this;
    return {
      id: row.id,
      kind: row.kind,
      object: { kind: row.object_kind, id: row.object_id },
      projectId: row.project_id,
      requestId: row.request_id,
      payload: JSON.parse(row.payload) as object,
      attempts: row.attempts,
      overdue: row.overdue,
      cancelled: row.cancel_requested === 1,
      error: row.error,
    };
  }

  reach(moment: Moment): void {
    reach(pointOf(this.kind.name, this.row.step, this.undoing, moment));
  }

  /** What happens outside the database; not in a transaction. */
  async effect(signal: AbortSignal): Promise<unknown> {
    if (this.undoing) return await this.step.undoEffect?.(this.task);
    return await this.step.effect?.(this.task, signal);
  }

  /**
   * The step's part in the database, and the record of what came of it. Gives the task as it is then: ready for the next step when
   * `ready`. Throws Fenced when somebody else has the task.
   */
  async commit(tx: Tx, effect: unknown, keep: number | null): Promise<StepResult> {
    const { kind, object_kind, object_id, step, request_id: requestId } = this.row;
    const words = `${kind} (${step}) of ${object_kind} ${object_id}`;
    const cause = { kind: object_kind, id: object_id, words, requestId };
    return await causedBy(tx, cause, () => this.#commit(tx, effect, keep));
  }

  async #commit(tx: Tx, effect: unknown, keep: number | null): Promise<StepResult> {
    this.#committing = true;
    if (this.undoing) {
      const outcome = await this.step.undo?.(tx, this.task);
      if (outcome) return await this.#waitUndoing(tx, outcome.wait, outcome.seconds ?? null);
      return await this.#undoNext(tx, this.#takenBefore(), this.row.error, keep);
    }
    return await this.#apply(tx, await this.step.run(tx, this.task, effect), keep);
  }

  /** Records that the step could not be done: it is tried again after a pause, or undone once the deadline has passed. */
  async fail(tx: Tx, message: string, delay: number): Promise<void> {
    this.#committing = false;
    if (!this.undoing && this.row.overdue) {
      await this.#beginUndo(tx, message, null);
      return;
    }
    await this.#record(tx, { error: message, delay, waitingFor: 'another attempt' });
  }

  /** Records that an operator's wish to cancel is being followed. */
  async cancel(tx: Tx): Promise<StepResult> {
    return await this.#beginUndo(tx, 'cancelled by an operator', null);
  }

  async #apply(tx: Tx, outcome: Outcome, keep: number | null): Promise<StepResult> {
    const payload = { ...this.task.payload, ...outcome.payload };
    const { deadline, within } = outcome;
    if ('end' in outcome) {
      const error = outcome.end === 'failed' ? outcome.error : null;
      const state = outcome.end;
      return await this.#record(tx, {
        state,
        payload,
        error,
        taken: this.#takenNow(),
        delay: null,
      });
    }
    if ('undo' in outcome) return await this.#beginUndo(tx, outcome.undo, keep, payload);
    if ('wait' in outcome) {
      if (this.row.overdue && deadline === undefined) {
        const why =
          outcome.error ?? this.row.error ?? `no end within the time allowed; waited for ${outcome.wait}`;
        return await this.#beginUndo(tx, why, keep, payload);
      }
      const delay = outcome.seconds ?? null;
      const error = outcome.error ?? null;
      return await this.#record(tx, {
        payload,
        deadline,
        within,
        delay,
        waitingFor: outcome.wait,
        attempts: 0,
        error,
      });
    }
    const taken = this.#takenNow();
    return await this.#record(
      tx,
      {
        step: outcome.to,
        payload,
        taken,
        deadline,
        within,
        delay: 0,
        attempts: keep === null ? 0 : 1,
        error: null,
        keep,
      },
      true,
    );
  }

  /** Steps taken, the present one last, without what came before its last repetition. */
  #takenNow(): string[] {
    const { step } = this.row;
    return [...this.#taken().filter((name) => name !== step), step];
  }

  #takenBefore(): string[] {
    return this.#taken().filter((name) => name !== this.row.step);
  }

  #taken(): string[] {
    return JSON.parse(this.row.taken) as string[];
  }

  async #beginUndo(tx: Tx, error: string, keep: number | null, payload?: object) {
    return await this.#undoNext(tx, this.#takenNow(), error, keep, payload);
  }

  /** On to the undo of the last step taken that has one; without any, the end. */
  async #undoNext(
    tx: Tx,
    taken: readonly string[],
    error: string | null,
    keep: number | null,
    payload?: object,
  ) {
    const left = [...taken];
    while (left.length > 0 && !hasUndo(this.kind.steps[left.at(-1)!] ?? { run: never })) left.pop();
    const step = left.at(-1);
    if (step === undefined) {
      const state = this.row.cancel_requested === 1 ? 'cancelled' : 'failed';
      return await this.#record(tx, { state, taken: [], error, payload, delay: null });
    }
    const attempts = keep === null ? 0 : 1;
    return await this.#record(
      tx,
      { state: 'undoing', step, taken: left, error, payload, delay: 0, attempts, keep },
      true,
    );
  }

  async #waitUndoing(tx: Tx, waitingFor: string, delay: number | null) {
    return await this.#record(tx, { waitingFor, delay, attempts: 0 });
  }

  async #record(tx: Tx, changes: Partial<TaskRecord>, ready = false): Promise<StepResult> {
    const { row } = this;
    const record: TaskRecord = {
      step: row.step,
      state: row.state,
      payload: JSON.parse(row.payload) as object,
      taken: this.#taken(),
      attempts: row.attempts,
      error: row.error,
      waitingFor: null,
      delay: null,
      wakes: row.wakes,
      keep: null,
      ...defined(changes),
    };
    if (this.#committing) this.reach('between');
    const next = await this.#rows.record(tx, row.id, row.fence, record);
    if (!next) throw new Fenced(`task ${row.id} was taken by somebody else`);
    noteStep(tx, row, next);
    return { next, ready };
  }
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

async function never(): Promise<never> {
  throw new Error('this step is never run');
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
