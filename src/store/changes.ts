import { SqliteAdapter, sql } from 'kysely';
import type { ChangeKind, Reader, Store, Tx } from './store.js';

export interface ChangeRow {
  readonly seq: number;
  readonly kind: ChangeKind;
  readonly id: string;
  readonly request_id: string | null;
}

/** What is new since a position. */
export interface NewChanges {
  readonly rows: readonly ChangeRow[];
  /** Where the next look begins. */
  readonly position: string;
  /** Rows may have been missed, since they are no longer kept or there are too many: everything has to be looked at. */
  readonly gap: boolean;
  /** There are more to read at once. */
  readonly more: boolean;
}

/** More changes at once than this are not told apart. */
const MOST = 5_000;
const TRIMMED = 'changes_trimmed_below';
/** Number of the last change that was deleted: the highest of those that remain may be lower. */
const COUNTED = 'changes_counted';

/**
 * The changes that became visible since the position (null: none is known yet). Call it inside a snapshot, so that whatever else is
 * read there agrees with it.
 *
 * On SQLite transactions commit in the order of their rows' numbers, and a position is the last number seen. On PostgreSQL they do
 * not, so a position is a snapshot (`pg_current_snapshot()`): new is what was written by transactions that it does not see.
 * That is exact whatever the order of commits, and needs no limit on how long a transaction may take.
 */
export async function readChanges(db: Reader, store: Store, position: string | null): Promise<NewChanges> {
  return store.dialect === 'sqlite' ? await readNumbered(db, position) : await readUnseen(db, position);
}

async function readNumbered(db: Reader, position: string | null): Promise<NewChanges> {
  const last = Number(position ?? 0);
  const rows = (await db
    .selectFrom('change')
    .select(['seq', 'kind', 'id', 'request_id'])
    .where('seq', '>', last)
    .orderBy('seq')
    .limit(MOST)
    .execute()) as ChangeRow[];
  return {
    rows,
    position: String(rows.at(-1)?.seq ?? last),
    gap: position === null,
    more: rows.length === MOST,
  };
}

async function readUnseen(db: Reader, position: string | null): Promise<NewChanges> {
  const now = await sql<{ snapshot: string; trimmed: string | null }>`
    select pg_current_snapshot()::text as snapshot, (select value from setting where name = ${TRIMMED}) as trimmed
  `.execute(db);
  const { snapshot, trimmed } = now.rows[0]!;
  if (position === null) return { rows: [], position: snapshot, gap: true, more: false };
  if (snapshot === position) return { rows: [], position, gap: false, more: false };
  const { rows } = await sql<ChangeRow>`
    select seq, kind, id, request_id from change
    where xid >= pg_snapshot_xmin(${position}::pg_snapshot)
      and not pg_visible_in_snapshot(xid, ${position}::pg_snapshot)
    order by seq limit ${MOST + 1}
  `.execute(db);
  const [xmin, xmax] = position.split(':').slice(0, 2).map(BigInt) as [bigint, bigint];
  // a position of the future is of another cluster, from which this database was moved
  const missed = (trimmed !== null && xmin < BigInt(trimmed)) || xmax > BigInt(snapshot.split(':')[1]!);
  return { rows, position: snapshot, gap: missed || rows.length > MOST, more: false };
}

/** SQLite: deletes the changes up to a position; their effect has been worked out by the only controller. */
export async function deleteChanges(tx: Tx, position: string): Promise<void> {
  await tx.deleteFrom('change').where('seq', '<=', Number(position)).execute();
}

/**
 * PostgreSQL: deletes changes older than the retention, and remembers up to where, so that a controller that was away for longer
 * knows that it missed some. Transactions still running keep theirs, and those of all that began after them.
 */
export async function trimChanges(tx: Tx, retentionMs: number): Promise<void> {
  await sql`
    with bound as (
      select xid from change
      where recorded_at < now() - make_interval(secs => ${retentionMs / 1000})
        and xid < pg_snapshot_xmin(pg_current_snapshot())
      order by xid desc limit 1
    ), gone as (
      delete from change using bound where change.xid <= bound.xid returning change.seq
    ), counted as (
      insert into setting (name, value)
      select ${COUNTED}, max(seq)::text from gone having count(*) > 0
      on conflict (name) do update
        set value = greatest(setting.value::bigint, excluded.value::bigint)::text
    )
    insert into setting (name, value)
    select ${TRIMMED}, (bound.xid::text::bigint + 1)::text from bound
    on conflict (name) do update
      set value = greatest(setting.value::bigint, excluded.value::bigint)::text
  `.execute(tx);
}

/**
 * PostgreSQL: deletes the changes that a dump brought from another cluster and whose transactions are in the future here: they would
 * never become visible, nor old. What a transaction sees was written before its snapshot ended, unless it wrote it itself.
 */
export async function dropForeignChanges(tx: Tx): Promise<void> {
  if (tx.getExecutor().adapter instanceof SqliteAdapter) return;
  await sql`
    with gone as (
      delete from change
      where xid >= pg_snapshot_xmax(pg_current_snapshot())
        and xid is distinct from pg_current_xact_id_if_assigned()
      returning seq
    )
    insert into setting (name, value)
    select ${COUNTED}, max(seq)::text from gone having count(*) > 0
    on conflict (name) do update
      set value = greatest(setting.value::bigint, excluded.value::bigint)::text
  `.execute(tx);
  await sql`
    delete from setting
    where name = ${TRIMMED} and value::numeric > pg_snapshot_xmax(pg_current_snapshot())::text::numeric
  `.execute(tx);
}

/** Number of the last change that this database has recorded; it never falls, except with a restored backup. */
export async function readChangeCounter(store: Pick<Store, 'dialect' | 'read'>): Promise<number> {
  // PostgreSQL: not the sequence's, which an uncommitted transaction raises and a crash may take back
  const query =
    store.dialect === 'sqlite'
      ? sql<{ n: number }>`select coalesce(max(seq), 0) as n from sqlite_sequence where name = 'change'`
      : sql<{ n: number }>`select greatest(
          (select max(seq) from change),
          (select value::bigint from setting where name = ${COUNTED}),
          0) as n`;
  const { rows } = await query.execute(store.read);
  return Number(rows[0]?.n ?? 0);
}

/** Every change there is, for tests and tools. */
export async function listChanges(db: Reader, limit: number): Promise<ChangeRow[]> {
  const rows = await db
    .selectFrom('change')
    .select(['seq', 'kind', 'id', 'request_id'])
    .orderBy('seq')
    .limit(limit)
    .execute();
  return rows as ChangeRow[];
}
