import { type Expression, type RawBuilder, type Selectable, sql } from 'kysely';
import type { Reader, Store, Tx } from './store.js';
import type { TaskTable } from './tables/tasks.js';
import { withNotes } from './trail.js';

export type TaskRow = Selectable<TaskTable>;

/** A task that was taken to run a step of it; `overdue`: its deadline has passed, by the database's clock. */
export interface TakenTask extends TaskRow {
  readonly overdue: boolean;
}

export interface NewTask {
  readonly id: string;
  readonly kind: string;
  readonly object: { readonly kind: string; readonly id: string };
  readonly projectId: string | null;
  readonly requestId: string | null;
  readonly step: string;
  readonly payload: object;
  /** Seconds from now; null: none. */
  readonly deadline: number | null;
  /** Who runs it from the beginning; null: whoever takes it. */
  readonly lease: { readonly owner: string; readonly seconds: number } | null;
}

/** What is written after a step. Times are seconds from now, by the database's clock. */
export interface TaskRecord {
  readonly step: string;
  readonly state: string;
  readonly payload: object;
  readonly taken: readonly string[];
  readonly attempts: number;
  readonly error: string | null;
  readonly waitingFor: string | null;
  /** Null: only an event, or the deadline, makes it run. */
  readonly delay: number | null;
  /** Undefined: as it was. */
  readonly deadline?: number | null;
  /** Not later than this, whatever it was. */
  readonly within?: number;
  /** Events seen so far: one that came later makes the task run at once. */
  readonly wakes: number;
  /** Seconds for which the runner keeps the task; null gives it up. */
  readonly keep: number | null;
}

/** Queries of the task table. All times in them are the database's: clocks of processes do not matter. */
export class TaskRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async insert(tx: Tx, task: NewTask): Promise<TakenTask> {
    const now = this.#after(0);
    const row = await tx
      .insertInto('task')
      .values({
        id: task.id,
        kind: task.kind,
        object_kind: task.object.kind,
        object_id: task.object.id,
        project_id: task.projectId,
        request_id: task.requestId,
        step: task.step,
        state: 'active',
        payload: JSON.stringify(task.payload),
        taken: '[]',
        attempts: 1,
        next_run_at: now,
        deadline: task.deadline === null ? null : this.#after(task.deadline),
        waiting_for: null,
        cancel_requested: 0,
        wakes: 0,
        lease_owner: task.lease?.owner ?? null,
        lease_until: task.lease ? this.#after(task.lease.seconds) : null,
        fence: 1,
        error: null,
        created_at: now,
        updated_at: now,
        finished_at: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return { ...row, overdue: false };
  }

  /** Leases tasks whose time has come and that nobody runs. */
  async claim(
    tx: Tx,
    owner: string,
    leaseSeconds: number,
    kinds: readonly string[],
    limit: number,
  ): Promise<TakenTask[]> {
    let due = tx
      .selectFrom('task')
      .select('id')
      .where('finished_at', 'is', null)
      .where('kind', 'in', kinds)
      .where('next_run_at', '<=', this.#after(0))
      .where((eb) => eb.or([eb('lease_until', 'is', null), eb('lease_until', '<', this.#after(0))]))
      .orderBy('next_run_at')
      .limit(limit);
    if (this.#store.dialect === 'postgres') due = due.forUpdate().skipLocked();
    const ids = (await due.execute()).map(({ id }) => id);
    if (ids.length === 0) return [];
    const rows = await tx
      .updateTable('task')
      .set((eb) => ({
        fence: eb('fence', '+', 1),
        attempts: eb('attempts', '+', 1),
        lease_owner: owner,
        lease_until: this.#after(leaseSeconds),
      }))
      .where('id', 'in', ids)
      .returningAll()
      .returning(this.#overdue())
      .execute();
    return rows.map(taken);
  }

  /** Takes an object's unfinished task for the rest of the transaction, from whoever had it. */
  async takeOf(tx: Tx, objectKind: string, objectId: string): Promise<TakenTask | undefined> {
    const row = await tx
      .updateTable('task')
      .set((eb) => ({
        fence: eb('fence', '+', 1),
        attempts: eb('attempts', '+', 1),
        lease_owner: null,
        lease_until: null,
      }))
      .where('object_kind', '=', objectKind)
      .where('object_id', '=', objectId)
      .where('finished_at', 'is', null)
      .returningAll()
      .returning(this.#overdue())
      .executeTakeFirst();
    return row && taken(row);
  }

  /** An object's unfinished task, as it is. */
  async activeOf(db: Reader, objectKind: string, objectId: string): Promise<TaskRow | undefined> {
    return await db
      .selectFrom('task')
      .selectAll()
      .where('object_kind', '=', objectKind)
      .where('object_id', '=', objectId)
      .where('finished_at', 'is', null)
      .executeTakeFirst();
  }

  /** Makes a task run at once; a step that runs now is run again afterwards. */
  async wake(tx: Tx, id: string): Promise<void> {
    await tx
      .updateTable('task')
      .set((eb) => ({ wakes: eb('wakes', '+', 1), next_run_at: this.#after(0) }))
      .where('id', '=', id)
      .where('finished_at', 'is', null)
      .execute();
  }

  /** Holds on to a lease; false when it was lost. `cancelled`: somebody asked for that meanwhile. */
  async renew(
    tx: Tx,
    id: string,
    fence: number,
    leaseSeconds: number,
  ): Promise<{ cancelled: boolean } | null> {
    const row = await tx
      .updateTable('task')
      .set({ lease_until: this.#after(leaseSeconds) })
      .where('id', '=', id)
      .where('fence', '=', fence)
      .where('finished_at', 'is', null)
      .returning('cancel_requested')
      .executeTakeFirst();
    return row ? { cancelled: row.cancel_requested === 1 } : null;
  }

  /**
   * Writes what became of a step and gives the task as it is then, with the fence that the next record needs; undefined when
   * somebody else has taken it since, or it has ended: nothing is written then. Each record raises the fence: whoever did not
   * hear that his own was committed cannot write over it.
   */
  async record(tx: Tx, id: string, fence: number, record: TaskRecord): Promise<TakenTask | undefined> {
    const deadline = this.#deadline(record);
    const finished = record.state !== 'active' && record.state !== 'undoing';
    const row = await tx
      .updateTable('task')
      .set((eb) => ({
        fence: eb('fence', '+', 1),
        step: record.step,
        state: record.state,
        payload: JSON.stringify(record.payload),
        taken: JSON.stringify(record.taken),
        attempts: record.attempts,
        error: record.error,
        waiting_for: record.waitingFor,
        next_run_at: finished ? null : this.#nextRun(record, deadline),
        deadline,
        lease_until: record.keep === null ? null : this.#after(record.keep),
        ...(record.keep === null ? { lease_owner: null } : {}),
        updated_at: this.#after(0),
        finished_at: finished ? this.#after(0) : null,
      }))
      .where('id', '=', id)
      .where('fence', '=', fence)
      .where('finished_at', 'is', null)
      .returningAll()
      .returning(this.#overdue())
      .executeTakeFirst();
    return row && taken(row);
  }

  #deadline({ deadline, within }: TaskRecord): Expression<string | null> {
    if (within !== undefined) {
      const near = this.#after(within);
      return sql<string>`case when deadline < ${near} then deadline else ${near} end`;
    }
    if (deadline === undefined) return sql<string | null>`deadline`;
    return deadline === null ? sql<null>`null` : this.#after(deadline);
  }

  #nextRun(record: TaskRecord, deadline: Expression<string | null>) {
    const limit = record.state === 'active' ? deadline : sql<null>`null`;
    const later = record.delay === null ? sql<null>`null` : this.#after(record.delay);
    const earliest =
      this.#store.dialect === 'postgres'
        ? sql`least(${later}, ${limit})`
        : sql`min(coalesce(${later}, ${limit}), coalesce(${limit}, ${later}))`;
    return sql<string | null>`case when wakes <> ${record.wakes} then ${this.#after(0)} else ${earliest} end`;
  }

  /** Ends an object's unfinished task in favour of another; whoever runs it records nothing any more. */
  async supersede(tx: Tx, objectKind: string, objectId: string, why: string): Promise<TaskRow | undefined> {
    return await tx
      .updateTable('task')
      .set((eb) => ({
        state: 'cancelled',
        error: why,
        fence: eb('fence', '+', 1),
        lease_owner: null,
        lease_until: null,
        next_run_at: null,
        waiting_for: null,
        updated_at: this.#after(0),
        finished_at: this.#after(0),
      }))
      .where('object_kind', '=', objectKind)
      .where('object_id', '=', objectId)
      .where('finished_at', 'is', null)
      .returningAll()
      .executeTakeFirst();
  }

  async requestCancel(tx: Tx, id: string): Promise<void> {
    await tx.updateTable('task').set({ cancel_requested: 1 }).where('id', '=', id).execute();
    await this.wake(tx, id);
  }

  /** Begins a finished task anew, from the given step. */
  async reopen(tx: Tx, id: string, step: string, deadline: number | null): Promise<void> {
    await tx
      .updateTable('task')
      .set((eb) => ({
        state: 'active',
        step,
        taken: '[]',
        attempts: 0,
        cancel_requested: 0,
        error: null,
        next_run_at: this.#after(0),
        deadline: deadline === null ? null : this.#after(deadline),
        fence: eb('fence', '+', 1),
        finished_at: null,
        updated_at: this.#after(0),
      }))
      .where('id', '=', id)
      .execute();
  }

  async find(db: Reader, id: string): Promise<TaskRow | undefined> {
    return await db.selectFrom('task').selectAll().where('id', '=', id).executeTakeFirst();
  }

  /** Unfinished tasks, those to run first at the top; with `all` also the finished, newest first. */
  async list(db: Reader, all: boolean, limit: number): Promise<TaskRow[]> {
    const query = db.selectFrom('task').selectAll().limit(limit);
    return all
      ? await query.orderBy('created_at', 'desc').orderBy('id').execute()
      : await query.where('finished_at', 'is', null).orderBy('next_run_at').orderBy('id').execute();
  }

  /** The latest task of an object: the one that is under way, whatever the clock said when it was begun, else the last that ended. */
  async latestOf(db: Reader, objectKind: string, objectId: string): Promise<TaskRow | undefined> {
    return await db
      .selectFrom('task')
      .selectAll()
      .where('object_kind', '=', objectKind)
      .where('object_id', '=', objectId)
      .orderBy((eb) => eb('finished_at', 'is', null), 'desc')
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  /** Seconds until the next task can be claimed, negative when it is late; null when none is going to be. */
  async nextDue(db: Reader): Promise<number | null> {
    const at =
      this.#store.dialect === 'postgres'
        ? sql`min(greatest(next_run_at, lease_until))`
        : sql`min(max(next_run_at, coalesce(lease_until, '')))`;
    const wait =
      this.#store.dialect === 'postgres'
        ? sql<number | null>`extract(epoch from (${at})::timestamptz - clock_timestamp())::double precision`
        : sql<number | null>`(julianday(${at}) - julianday('now')) * 86400.0`;
    const row = await db
      .selectFrom('task')
      .select(wait.as('wait'))
      .where('finished_at', 'is', null)
      .where('next_run_at', 'is not', null)
      .executeTakeFirst();
    return row?.wait ?? null;
  }

  /** Lets others have a task that can go on at once. */
  async release(tx: Tx, id: string, fence: number): Promise<void> {
    await tx
      .updateTable('task')
      .set({ lease_owner: null, lease_until: null })
      .where('id', '=', id)
      .where('fence', '=', fence)
      .execute();
  }

  /** Gives up every lease: on SQLite, where a starting process knows that no other is left. */
  async releaseAll(tx: Tx): Promise<void> {
    await tx
      .updateTable('task')
      .set((eb) => ({ lease_owner: null, lease_until: null, fence: eb('fence', '+', 1) }))
      .where('lease_owner', 'is not', null)
      .execute();
  }

  /** Forgets finished tasks: successful ones after `doneSeconds`, others after `failedSeconds`. Gives their number. */
  async prune(tx: Tx, doneSeconds: number, failedSeconds: number): Promise<number> {
    const { numDeletedRows } = await tx
      .deleteFrom('task')
      .where((eb) =>
        eb.or([
          eb.and([eb('state', '=', 'done'), eb('finished_at', '<', this.#after(-doneSeconds))]),
          eb('finished_at', '<', this.#after(-failedSeconds)),
        ]),
      )
      .executeTakeFirst();
    return Number(numDeletedRows);
  }

  /** The database's clock, plus seconds, as stored. */
  #after(seconds: number): RawBuilder<string> {
    return this.#store.dialect === 'postgres'
      ? sql<string>`to_char((clock_timestamp() + make_interval(secs => ${seconds}::double precision)) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
      : sql<string>`strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ${`${seconds.toFixed(3)} seconds`})`;
  }

  #overdue() {
    return sql<number>`case when deadline <= ${this.#after(0)} then 1 else 0 end`.as('overdue');
  }
}

function taken({ overdue, ...row }: TaskRow & { overdue: number }): TakenTask {
  return { ...row, overdue: overdue === 1 };
}

/**
 * Runs a part of a transaction that may fail by itself: what it wrote is taken back then, the transaction goes on. The error is
 * thrown all the same.
 */
export async function inSavepoint<T>(tx: Tx, body: () => Promise<T>): Promise<T> {
  await sql`savepoint part`.execute(tx);
  try {
    const result = await withNotes(tx, body);
    await sql`release savepoint part`.execute(tx);
    return result;
  } catch (error) {
    await sql`rollback to savepoint part`.execute(tx);
    await sql`release savepoint part`.execute(tx);
    throw error;
  }
}
