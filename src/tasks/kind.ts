import type { Tx } from '../store/store.js';

/** A task as its steps see it. */
export interface Task<P extends object = object> {
  readonly id: string;
  readonly kind: string;
  /** What it works on. */
  readonly object: { readonly kind: string; readonly id: string };
  readonly projectId: string | null;
  readonly requestId: string | null;
  readonly payload: P;
  /** Times that this step was begun since it last had an outcome, this time included. */
  readonly attempts: number;
  /** The deadline has passed, by the database's clock: a step that goes on waiting now is undone. */
  readonly overdue: boolean;
  /** Set while undoing: an operator wanted it. */
  readonly cancelled: boolean;
  /** What went wrong last; while undoing, why. */
  readonly error: string | null;
}

/**
 * What a step comes to: another step (or the same again); waiting for `Tasks.wake`, at most `seconds`, and then the same step once
 * more; the end; or `undo`, which undoes the steps taken and ends as failed. `payload` is merged into what the task keeps;
 * `deadline` is a new one in seconds from now, null for none; `within` only brings it nearer.
 */
export type Outcome<P extends object = object> = (
  | { readonly to: string }
  | { readonly wait: string; readonly seconds?: number; readonly error?: string }
  | { readonly end: 'done' }
  | { readonly end: 'failed'; readonly error: string }
  | { readonly undo: string }
) & { readonly payload?: Partial<P>; readonly deadline?: number | null; readonly within?: number };

/** Undoing may have to wait too. */
export type UndoOutcome = { readonly wait: string; readonly seconds?: number } | undefined;

/**
 * One step. Each of its functions may run again after having been killed anywhere, so it must come to the same. Throwing means
 * trying again later, until the deadline; then the steps are undone.
 */
export interface Step<P extends object = object> {
  /** What the step does outside the database; not in a transaction. `signal` fires when the task was taken away or cancelled. */
  effect?(task: Task<P>, signal: AbortSignal): Promise<unknown>;
  /** The step's part in the database, and what comes next: one transaction with the record of it. */
  run(tx: Tx, task: Task<P>, effect: unknown): Promise<Outcome<P>>;
  /** Takes back what `effect` did, or half did. */
  undoEffect?(task: Task<P>): Promise<void>;
  /** Takes back what `run` did. Runs for the step that failed, too, which may have done nothing yet. */
  undo?(tx: Tx, task: Task<P>): Promise<UndoOutcome>;
}

/** A kind of durable work. The first step begins it. */
export interface TaskKind<P extends object = object> {
  /** `object.what`, such as `server.build`. */
  readonly name: string;
  readonly steps: Readonly<Record<string, Step<P>>>;
  readonly first: string;
  /** Seconds from the beginning; null: none. */
  readonly deadline: number | null;
  /** Why operators cannot cancel it; null when they can. */
  readonly uncancellable: string | null;
  /** Called in the transaction in which an operator begins a failed or cancelled one anew. */
  onRetry?(tx: Tx, task: Task<P>): Promise<void>;
}

/** Whether a step has anything to undo. */
export function hasUndo(step: Step): boolean {
  return step.undo !== undefined || step.undoEffect !== undefined;
}
