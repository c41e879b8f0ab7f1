/** One piece of durable work of several steps. Times are the database's clock. */
export interface TaskTable {
  id: string;
  /** Name of the kind in the registry, such as `server.build`. */
  kind: string;
  /** What it works on; an object has at most one unfinished task. */
  object_kind: string;
  object_id: string;
  project_id: string | null;
  request_id: string | null;
  /** The step that runs next, or whose undo runs next. */
  step: string;
  /** `active`, `undoing`, or how it ended: `done`, `failed`, `cancelled`. */
  state: string;
  /** JSON of what the kind keeps. */
  payload: string;
  /** JSON array of the steps that were taken, in order: undone in reverse. */
  taken: string;
  /** Times that the present step was begun without an outcome. */
  attempts: number;
  /** Null: only an event makes it run. */
  next_run_at: string | null;
  deadline: string | null;
  /** What it waits for, in words; null when it is ready to run. */
  waiting_for: string | null;
  /** Set when an operator asked to cancel it. */
  cancel_requested: number;
  /** Rises with every event for the task, so that one that comes while a step runs is not lost. */
  wakes: number;
  /** The process that runs a step now, and until when it may. */
  lease_owner: string | null;
  lease_until: string | null;
  /** Rises with every change of who runs it; whoever has an older number records nothing. */
  fence: number;
  error: string | null;
  created_at: string;
  updated_at: string;
  finished_at: string | null;
}

export interface TaskTables {
  task: TaskTable;
}
