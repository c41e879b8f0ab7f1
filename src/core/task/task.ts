import type { TaskRow } from '../../store/tasks.js';
import type { TaskKind } from '../../tasks/kind.js';
import type { App } from '../app.js';
import { conflict, notFound } from '../errors.js';

/** A task as operators see it. Times are the database's clock. */
export interface TaskView {
  readonly id: string;
  readonly kind: string;
  /** Such as `server/3541055f-…`. */
  readonly object: string;
  readonly project_id: string | null;
  readonly request_id: string | null;
  readonly step: string;
  /** `active`, `undoing`, `done`, `failed`, `cancelled`. */
  readonly state: string;
  readonly waiting_for: string | null;
  readonly attempts: number;
  /** The controller that runs a step now, and until when it may. */
  readonly owner: string | null;
  readonly lease_until: string | null;
  /** When it looks again by itself; null while it runs, and when only an event makes it go on. */
  readonly next_run_at: string | null;
  readonly deadline: string | null;
  readonly error: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly finished_at: string | null;
}

/** A task with what its kind allows and keeps. */
export interface TaskDetail extends TaskView {
  /** Every step of the kind; those with an undo are marked. */
  readonly steps: readonly { readonly name: string; readonly undo: boolean; readonly taken: boolean }[];
  /** Why it cannot be cancelled; null when it can. */
  readonly uncancellable: string | null;
  readonly payload: object;
}

const MOST_SHOWN = 1000;

/** Unfinished tasks, the next to run first; with `all` also those that ended lately, newest first. */
export async function listTasks(app: App, all: boolean): Promise<TaskView[]> {
  return (await app.tasks.rows.list(app.store.read, all, MOST_SHOWN)).map(taskView);
}

export async function showTask(app: App, id: string): Promise<TaskDetail> {
  const row = await app.tasks.rows.find(app.store.read, id);
  if (!row) throw taskNotFound(id);
  return detail(app, row);
}

/** The task that is under way with an object, or ended last. */
export async function taskOf(app: App, objectKind: string, objectId: string): Promise<TaskView | null> {
  const row = await app.tasks.rows.latestOf(app.store.read, objectKind, objectId);
  return row ? taskView(row) : null;
}

/** Undoes a task; 409 when it has ended or cannot be undone. */
export async function cancelTask(app: App, id: string): Promise<TaskDetail> {
  return await app.store.tx(async (tx) => {
    const row = await app.tasks.rows.find(tx, id);
    if (!row) throw taskNotFound(id);
    if (row.finished_at !== null) throw conflict(`Task ${id} has ended: it is ${row.state}.`);
    const reason = kindOf(app, row)?.uncancellable;
    if (reason) throw conflict(`A task ${row.kind} cannot be cancelled: ${reason}.`);
    await app.tasks.cancel(tx, row);
    return detail(app, (await app.tasks.rows.find(tx, id))!);
  });
}

/**
 * Makes a waiting task go on now, or begins a failed or cancelled one anew; 409 when it ended well, or when something else was
 * begun with its object since.
 */
export async function retryTask(app: App, id: string): Promise<TaskDetail> {
  return await app.store.tx(async (tx) => {
    const { rows } = app.tasks;
    const row = await rows.find(tx, id);
    if (!row) throw taskNotFound(id);
    if (row.state === 'done') throw conflict(`Task ${id} is done.`);
    if (row.finished_at !== null) {
      const latest = await rows.latestOf(tx, row.object_kind, row.object_id);
      if (latest && latest.id !== id) {
        throw conflict(
          `${latest.kind} (task ${latest.id}) was begun with ${row.object_kind} ${row.object_id} since: only the latest task can be retried.`,
        );
      }
    }
    await app.tasks.retry(tx, row);
    return detail(app, (await rows.find(tx, id))!);
  });
}

function detail(app: App, row: TaskRow): TaskDetail {
  const kind = kindOf(app, row);
  const taken = JSON.parse(row.taken) as string[];
  return {
    ...taskView(row),
    steps: Object.entries(kind?.steps ?? {}).map(([name, step]) => ({
      name,
      undo: step.undo !== undefined || step.undoEffect !== undefined,
      taken: taken.includes(name),
    })),
    uncancellable: kind?.uncancellable ?? null,
    payload: JSON.parse(row.payload) as object,
  };
}

function kindOf(app: App, row: TaskRow): TaskKind | undefined {
  return app.tasks.kinds.find(({ name }) => name === row.kind);
}

function taskView(row: TaskRow): TaskView {
  return {
    id: row.id,
    kind: row.kind,
    object: `${row.object_kind}/${row.object_id}`,
    project_id: row.project_id,
    request_id: row.request_id,
    step: row.step,
    state: row.state,
    waiting_for: row.waiting_for,
    attempts: row.attempts,
    owner: row.lease_owner,
    lease_until: row.lease_until,
    next_run_at: row.lease_owner === null ? row.next_run_at : null,
    deadline: row.finished_at === null ? row.deadline : null,
    error: row.error,
    created_at: row.created_at,
    updated_at: row.updated_at,
    finished_at: row.finished_at,
  };
}

function taskNotFound(id: string) {
  return notFound(`There is no task ${id}; maru task list --all shows those that there are.`);
}
