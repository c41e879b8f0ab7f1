import { AsyncLocalStorage } from 'node:async_hooks';
import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { ChangeKind, Reader, Tx } from './store.js';
import type { TrailTable } from './tables/trail.js';
import { withoutNul } from './without-nul.js';

export type TrailRow = Selectable<TrailTable>;

/** What an entry is about. */
export type TrailWhat =
  /** Somebody asked for it. */
  | 'action'
  /** What was asked for has ended. */
  | 'ended'
  /** It was changed along with something else. */
  | 'changed'
  | 'task'
  | 'placed'
  | 'status'
  | 'report'
  | 'drift';

/** One thing that happened to an object. */
export interface TrailNote {
  readonly kind: string;
  readonly id: string;
  readonly what: TrailWhat;
  /** In the words of an operator. */
  readonly detail: string;
  readonly hostId?: string | null;
  /** Null: none is known. Left out: that of what is being done. */
  readonly requestId?: string | null;
}

/** Who has asked for what is done now. */
export interface TrailActor {
  readonly requestId: string;
  readonly userId: string;
  readonly projectId: string;
  /** What was asked for, such as `Create a server`. */
  readonly summary: string;
}

/** What a transaction is carried out for, when nobody's request is being served. */
export interface TrailCause {
  readonly kind: string;
  readonly id: string;
  readonly words: string;
  readonly requestId: string | null;
}

/** Kinds of changes that are things of their own; the others only say what hosts have to be told. */
const TRAILED: readonly ChangeKind[] = [
  'network',
  'subnet',
  'port',
  'router',
  'floating-ip',
  'security-group',
  'server',
  'volume',
  'image',
  'host',
];
const DETAIL_LENGTH = 2_000;
/** Rows of one statement: databases limit its parameters. */
const ROWS_AT_ONCE = 500;

interface Change {
  readonly kind: ChangeKind;
  readonly id: string;
  readonly requestId: string | null;
  readonly cause: TrailCause | null;
}

interface Pending {
  readonly notes: TrailNote[];
  readonly changes: Change[];
  /** What is being done just now. */
  cause: TrailCause | null;
}

const pendingOf = new WeakMap<Tx, Pending>();
const acting = new AsyncLocalStorage<{ readonly actor: TrailActor; open: boolean }>();

/**
 * Runs the handler of a request: what its transactions change is put down to it. What it sets going and does not wait for, such as a
 * task, is not, once it has ended.
 */
export async function asActor<T>(actor: TrailActor, body: () => Promise<T>): Promise<T> {
  const here = { actor, open: true };
  try {
    return await acting.run(here, body);
  } finally {
    here.open = false;
  }
}

/** Notes something in the trail of an object. It is written with the transaction's other notes, in one statement, when it commits. */
export function note(tx: Tx, entry: TrailNote): void {
  const { notes, cause } = pending(tx);
  notes.push(entry.requestId === undefined && cause ? { ...entry, requestId: cause.requestId } : entry);
}

/** Runs a part of a transaction that is done for something: what it changes along with it is put down to that. */
export async function causedBy<T>(tx: Tx, cause: TrailCause, body: () => Promise<T>): Promise<T> {
  const own = pending(tx);
  const outer = own.cause;
  own.cause = cause;
  try {
    return await body();
  } finally {
    own.cause = outer;
  }
}

/** Notes that a row changed; recordChange does it. */
export function noteChange(tx: Tx, kind: ChangeKind, id: string, requestId: string | null): void {
  const { changes, cause } = pending(tx);
  if (TRAILED.includes(kind)) changes.push({ kind, id, requestId, cause });
}

/** Runs a part of a transaction that may be rolled back by itself, and its notes with it. */
export async function withNotes<T>(tx: Tx, body: () => Promise<T>): Promise<T> {
  const { notes, changes } = pending(tx);
  const [had, changed] = [notes.length, changes.length];
  try {
    return await body();
  } catch (error) {
    notes.length = had;
    changes.length = changed;
    throw error;
  }
}

/** Writes what was noted in a transaction, at its end: one statement, none when there is nothing. */
export async function writeNotes(tx: Tx, now: string): Promise<void> {
  const noted = pendingOf.get(tx);
  if (!noted) return;
  const rows = rowsOf(noted, currentActor(), now);
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    await tx
      .insertInto('trail')
      .values(rows.slice(at, at + ROWS_AT_ONCE))
      .execute();
  }
}

/** The latest entries of an object, oldest first; `before`: only those with lower numbers. */
export async function listTrail(
  db: Reader,
  kind: string,
  id: string,
  options: { readonly limit: number; readonly before?: number },
): Promise<TrailRow[]> {
  let query = db.selectFrom('trail').selectAll().where('object_kind', '=', kind).where('object_id', '=', id);
  if (options.before !== undefined) query = query.where('seq', '<', options.before);
  const rows = await query.orderBy('seq', 'desc').limit(options.limit).execute();
  return rows.reverse().map((row) => ({ ...row, seq: Number(row.seq) }));
}

/** How much is kept. */
export interface TrailRetention {
  /** Entries from before this time go. */
  readonly before: string;
  /** Of one object the latest so many stay. */
  readonly perObject: number;
  readonly total: number;
}

/** Removes up to `limit` entries that are too old or too many; gives how many went. Call it until none does. */
export async function pruneTrail(tx: Tx, retention: TrailRetention, limit: number): Promise<number> {
  const { before, perObject, total } = retention;
  const old = await tx
    .selectFrom('trail')
    .select('seq')
    .where('at', '<', before)
    .orderBy('at')
    .limit(limit)
    .execute();
  const doomed = old.map(({ seq }) => seq);
  if (doomed.length === 0) {
    const kept = await tx
      .selectFrom('trail')
      .select('seq')
      .orderBy('seq', 'desc')
      .offset(total)
      .limit(limit)
      .execute();
    doomed.push(...kept.map(({ seq }) => seq));
  }
  if (doomed.length === 0) doomed.push(...(await excessOfOne(tx, perObject, limit)));
  if (doomed.length === 0) return 0;
  for (let at = 0; at < doomed.length; at += ROWS_AT_ONCE) {
    await tx
      .deleteFrom('trail')
      .where('seq', 'in', doomed.slice(at, at + ROWS_AT_ONCE))
      .execute();
  }
  return doomed.length;
}

/** Entries of the object with the most, beyond those that stay. */
async function excessOfOne(tx: Tx, perObject: number, limit: number): Promise<number[]> {
  const most = await tx
    .selectFrom('trail')
    .select(['object_kind', 'object_id'])
    .groupBy(['object_kind', 'object_id'])
    .having(sql<boolean>`count(*) > ${perObject}`)
    .orderBy(sql`count(*)`, 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!most) return [];
  const rows = await tx
    .selectFrom('trail')
    .select('seq')
    .where('object_kind', '=', most.object_kind)
    .where('object_id', '=', most.object_id)
    .orderBy('seq', 'desc')
    .offset(perObject)
    .limit(limit)
    .execute();
  return rows.map(({ seq }) => seq);
}

type NewRow = Omit<TrailRow, 'seq'>;

/** Notes, and the changes of things that no note says more of. */
function rowsOf({ notes, changes }: Pending, actor: TrailActor | null, at: string): NewRow[] {
  const acted = new Set(notes.filter(({ what }) => what === 'action').map(keyOf));
  const all: TrailNote[] = [...notes];
  for (const change of changes) {
    const key = `${change.kind}/${change.id}`;
    if (acted.has(key)) continue;
    const by = causeOfChange(change, actor);
    if (!by) continue;
    acted.add(key);
    all.unshift({ kind: change.kind, id: change.id, ...by });
  }
  return all.map((one) => {
    const requestId = one.requestId === undefined ? (actor?.requestId ?? null) : one.requestId;
    // what another request began and this one only went on with is not its doing
    const own = actor !== null && requestId === actor.requestId;
    return {
      object_kind: one.kind,
      object_id: one.id,
      at,
      what: one.what,
      // output of commands is in it
      detail: withoutNul(one.detail).slice(0, DETAIL_LENGTH),
      host_id: one.hostId ?? null,
      request_id: requestId,
      user_id: own ? actor.userId || null : null,
      project_id: own ? actor.projectId || null : null,
    };
  });
}

/** By what a row was changed; null: nothing is known but that it was, by what the object's own notes tell. */
function causeOfChange(
  { kind, id, requestId, cause }: Change,
  actor: TrailActor | null,
): Pick<TrailNote, 'what' | 'detail' | 'requestId'> | null {
  // a step that runs while its request is served belongs to it
  if (actor && (requestId ?? cause?.requestId ?? actor.requestId) === actor.requestId) {
    return { what: 'action', detail: actor.summary, requestId: actor.requestId };
  }
  if (!cause || (cause.kind === kind && cause.id === id)) return null;
  return { what: 'changed', detail: `by ${cause.words}`, requestId: requestId ?? cause.requestId };
}

function currentActor(): TrailActor | null {
  const here = acting.getStore();
  return here?.open ? here.actor : null;
}

function pending(tx: Tx): Pending {
  const known = pendingOf.get(tx);
  if (known) return known;
  const fresh: Pending = { notes: [], changes: [], cause: null };
  pendingOf.set(tx, fresh);
  return fresh;
}

function keyOf({ kind, id }: TrailNote): string {
  return `${kind}/${id}`;
}
