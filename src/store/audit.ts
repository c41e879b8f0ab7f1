import { AsyncLocalStorage } from 'node:async_hooks';
import { CompiledQuery, type Selectable, SqliteAdapter, sql } from 'kysely';
import type { Reader, Tx } from './store.js';
import type { AuditTable } from './tables/audit.js';

export type AuditRow = Selectable<AuditTable>;

/** The request that is being served, as far as transactions have to do with its record. */
export interface AuditCarrier {
  /** The record, which the transaction that ends now is to write; null: none wanted, or it is written. */
  offer(): AuditRow | null;
  /** A transaction has ended that was offered the record. `carried`: it wrote it. */
  ended(outcome: { readonly committed: boolean; readonly carried: boolean }): void;
}

/** Rows of one statement: databases limit its parameters. */
const ROWS_AT_ONCE = 200;

const serving = new AsyncLocalStorage<{ readonly carrier: AuditCarrier; open: boolean }>();

/**
 * Runs the handler of a request: the first transaction that commits in it writes the request's record too. What it sets going and does
 * not wait for does not, once it has ended.
 */
export async function carryingAudit<T>(carrier: AuditCarrier, body: () => Promise<T>): Promise<T> {
  const here = { carrier, open: true };
  try {
    return await serving.run(here, body);
  } finally {
    here.open = false;
  }
}

/** The request that is being served here; null: none. */
export function servedRequest(): AuditCarrier | null {
  const here = serving.getStore();
  return here?.open ? here.carrier : null;
}

/** Writes the record of the request that is served, at the end of its transaction; gives what wants to know how that ends. */
export async function writeAudit(tx: Tx): Promise<((committed: boolean) => void) | null> {
  const carrier = servedRequest();
  if (!carrier) return null;
  const row = carrier.offer();
  const carried = row !== null;
  try {
    if (row) await insert(tx, [row], { replace: false });
  } catch (error) {
    carrier.ended({ committed: false, carried });
    throw error;
  }
  return (committed) => carrier.ended({ committed, carried });
}

type KnownTarget = Pick<AuditRow, 'target_type' | 'target_id' | 'target_name' | 'target_project_id'>;

/** What earlier records say of things: names, and whose they are. */
export async function knownTargets(
  db: Reader,
  targets: readonly Pick<AuditRow, 'target_type' | 'target_id'>[],
): Promise<KnownTarget[]> {
  const found: KnownTarget[] = [];
  for (let at = 0; at < targets.length; at += ROWS_AT_ONCE) {
    const some = targets.slice(at, at + ROWS_AT_ONCE);
    const wanted = sql.join(some.map(({ target_type, target_id }) => sql`(${target_type}, ${target_id})`));
    // the index gives the latest at once, however many records there are of it
    const { rows } = await sql<KnownTarget>`
      with wanted (type, id) as (values ${wanted})
      select a.target_type, a.target_id, a.target_name, a.target_project_id
      from wanted w join audit a on a.id = (
        select b.id from audit b
        where b.target_id = w.id and b.target_type = w.type and b.target_name is not null
        order by b.id desc limit 1
      )`.execute(db);
    found.push(...rows);
  }
  return found;
}

/** Writes records, in place of what there is of them already. */
export async function putAudits(tx: Tx, rows: readonly AuditRow[]): Promise<void> {
  // a statement of SQLite costs no way to a server, and one of a few values is prepared once
  const atOnce = isSqlite(tx) ? 1 : ROWS_AT_ONCE;
  for (let at = 0; at < rows.length; at += atOnce)
    await insert(tx, rows.slice(at, at + atOnce), { replace: true });
}

/** The statement as text: putting it together anew for each request takes longer than carrying it out. */
async function insert(
  tx: Tx,
  rows: readonly AuditRow[],
  { replace }: { readonly replace: boolean },
): Promise<void> {
  const sqlite = isSqlite(tx);
  let placed = 0;
  const place = () => (sqlite ? '?' : `$${++placed}`);
  const values = rows.map(() => `(${COLUMNS.map(place).join(', ')})`).join(', ');
  const text = `insert into audit (${COLUMNS.join(', ')}) values ${values}${replace ? REPLACE : ''}`;
  await tx.executeQuery(
    CompiledQuery.raw(
      text,
      rows.flatMap((row) => COLUMNS.map((column) => row[column])),
    ),
  );
}

function isSqlite(tx: Tx): boolean {
  return tx.getExecutor().adapter instanceof SqliteAdapter;
}

/** Columns that may be other at the end of a request than while it is served. */
const CHANGING = [
  'last_at',
  'repeats',
  'action',
  'outcome',
  'changed',
  'status',
  'reason',
  'user_id',
  'user_name',
  'user_domain_id',
  'user_domain_name',
  'target_type',
  'target_id',
  'target_name',
  'target_project_id',
  'detail',
] as const satisfies readonly (keyof AuditRow)[];

const COLUMNS = [
  'id',
  'at',
  'service',
  'method',
  'path',
  'request_id',
  'global_request_id',
  'scope',
  'project_id',
  'project_name',
  'domain_id',
  'domain_name',
  'application_credential_id',
  'trust_id',
  'token_audit_id',
  'address',
  ...CHANGING,
] as const satisfies readonly (keyof AuditRow)[];

const REPLACE = ` on conflict (id) do update set ${CHANGING.map((column) => `${column} = excluded.${column}`).join(', ')}`;

/** Which records; what is left out does not matter. */
export interface AuditFilter {
  /** Id or name. */
  readonly user?: string;
  /** Id or name of the project that somebody acted in, or id of that of what was acted on. */
  readonly project?: string;
  /** Whole, or the beginning with `*` after it. */
  readonly action?: string;
  readonly service?: string;
  readonly outcome?: string;
  readonly status?: number;
  readonly targetType?: string;
  /** Id or name. */
  readonly target?: string;
  /** The request's own id, or the one that its client gave. */
  readonly requestId?: string;
  readonly address?: string;
  /** Ids at and above, and below; they sort by time. */
  readonly from?: string;
  readonly below?: string;
}

/** The latest records that match, newest first. */
export async function listAudits(db: Reader, filter: AuditFilter, limit: number): Promise<AuditRow[]> {
  const { user, project, action, service, outcome, status, targetType, target, requestId, address } = filter;
  let query = db.selectFrom('audit').selectAll();
  if (user !== undefined)
    query = query.where((eb) => eb.or([eb('user_id', '=', user), eb('user_name', '=', user)]));
  if (project !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('project_id', '=', project),
        eb('project_name', '=', project),
        eb('target_project_id', '=', project),
      ]),
    );
  }
  if (action?.endsWith('*')) {
    const start = action.slice(0, -1);
    query = query.where('action', '>=', start).where('action', '<', `${start}\u{10FFFF}`);
  } else if (action !== undefined) query = query.where('action', '=', action);
  if (service !== undefined) query = query.where('service', '=', service);
  if (outcome !== undefined) query = query.where('outcome', '=', outcome);
  if (status !== undefined) query = query.where('status', '=', status);
  if (targetType !== undefined) query = query.where('target_type', '=', targetType);
  if (target !== undefined)
    query = query.where((eb) => eb.or([eb('target_id', '=', target), eb('target_name', '=', target)]));
  if (requestId !== undefined)
    query = query.where((eb) =>
      eb.or([eb('request_id', '=', requestId), eb('global_request_id', '=', requestId)]),
    );
  if (address !== undefined) query = query.where('address', '=', address);
  if (filter.from !== undefined) query = query.where('id', '>=', filter.from);
  if (filter.below !== undefined) query = query.where('id', '<', filter.below);
  return await query.orderBy('id', 'desc').limit(limit).execute();
}

/** Own ids of the latest requests to which clients gave this one. */
export async function requestsOfGlobal(db: Reader, globalId: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('audit')
    .select('request_id')
    .where('global_request_id', '=', globalId)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
  return rows.flatMap(({ request_id }) => (request_id === null ? [] : [request_id]));
}

export async function findAudit(db: Reader, id: string): Promise<AuditRow | undefined> {
  return await db.selectFrom('audit').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Which records are to go: whose (null: of nobody known; undefined: everybody's), and whether only those of one kind. */
export interface AuditShare {
  readonly user?: string | null;
  /** True: what changed something; false: what did not. */
  readonly changed?: boolean;
}

/** How many records there are of each user (null: of nobody known) that changed something, and that did not. */
export async function countAudits(
  db: Reader,
): Promise<{ readonly user: string | null; readonly changed: boolean; readonly count: number }[]> {
  const rows = await db
    .selectFrom('audit')
    .select(['user_id', 'changed', (eb) => eb.fn.countAll().as('count')])
    .groupBy(['user_id', 'changed'])
    .execute();
  return rows.map((row) => ({ user: row.user_id, changed: row.changed === 1, count: Number(row.count) }));
}

/** Id of the newest record beyond the latest so many; undefined: there are no more. */
export async function auditBeyond(db: Reader, kept: number, share: AuditShare): Promise<string | undefined> {
  const query = chosen(db, share).orderBy('id', 'desc').offset(kept).limit(1);
  return (await query.executeTakeFirst())?.id;
}

/** Removes up to `limit` records with that id or a lower one, the oldest first; gives how many went. */
export async function removeAudits(tx: Tx, upTo: string, limit: number, share: AuditShare): Promise<number> {
  const doomed = await chosen(tx, share).where('id', '<=', upTo).orderBy('id').limit(limit).execute();
  for (let at = 0; at < doomed.length; at += ROWS_AT_ONCE) {
    const some = doomed.slice(at, at + ROWS_AT_ONCE).map(({ id }) => id);
    await tx.deleteFrom('audit').where('id', 'in', some).execute();
  }
  return doomed.length;
}

function chosen(db: Reader, { user, changed }: AuditShare) {
  let query = db.selectFrom('audit').select('id');
  if (changed !== undefined) query = query.where('changed', '=', Number(changed));
  if (user === null) query = query.where('user_id', 'is', null);
  else if (user !== undefined) query = query.where('user_id', '=', user);
  return query;
}
