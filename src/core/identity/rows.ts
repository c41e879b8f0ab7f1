import { randomUUID } from 'node:crypto';
import { isUniqueViolation, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { conflict, forbidden, type MaruError, notFound } from '../errors.js';

/** An id as Keystone makes them: a UUID without dashes. */
export function newId(): string {
  return randomUUID().replaceAll('-', '');
}

/** The row of an id; 404 in Keystone's words when there is none. */
export async function mustGet<R>(
  rows: { get(db: Reader, id: string): Promise<R | undefined> },
  db: Reader,
  id: string,
  what: string,
): Promise<R> {
  const row = await rows.get(db, id);
  if (!row) throw missing(what, id);
  return row;
}

export function missing(what: string, id: string): MaruError {
  return notFound(`Could not find ${what}: ${id}.`);
}

/** A write transaction of identity, in which a taken name is a 409; `aside` when no token depends on what it writes. */
export async function storing<T>(
  app: App,
  what: string,
  body: (tx: Tx) => Promise<T>,
  { aside = false }: { readonly aside?: boolean } = {},
): Promise<T> {
  try {
    return await (aside ? app.store.tx(body) : app.identity.write(body));
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw conflict(`Conflict occurred attempting to store ${what} - Duplicate entry found.`);
  }
}

/** The attributes of a body that the table has no column for, as JSON; those that exist already stay unless replaced. */
export function extraOf(
  body: Readonly<Record<string, unknown>>,
  known: readonly string[],
  before = '{}',
): string {
  const extra = JSON.parse(before) as Record<string, unknown>;
  for (const [name, value] of Object.entries(body)) {
    if (!known.includes(name) && name !== 'links') extra[name] = value;
  }
  return JSON.stringify(extra);
}

/** Resource options after a change: null removes one. */
export function mergeOptions(before: string, changes: Readonly<Record<string, unknown>> | undefined): string {
  const merged = { ...(JSON.parse(before) as Record<string, unknown>), ...changes };
  return JSON.stringify(Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null)));
}

/**
 * Refuses a change to a row marked `immutable`, except one that only takes the mark away; without `changes` it is a
 * deletion, which is refused as well.
 */
export function refuseImmutable(
  row: { readonly id: string; readonly options: string },
  what: string,
  changes?: object,
): void {
  const { immutable } = JSON.parse(row.options) as { immutable?: boolean };
  if (!immutable) return;
  const mark = (changes as { options?: { immutable?: unknown } } | undefined)?.options?.immutable;
  if (changes && Object.keys(changes).length === 1 && (mark === false || mark === null)) return;
  throw forbidden(
    `Unable to ${changes ? 'update' : 'delete'} immutable ${what} resource: \`${row.id}. Set resource option "immutable" to false first.`,
  );
}
