import { badRequest, notFound } from '../../core/errors.js';
import type { Inexact, ListOptions } from '../../store/identity/table.js';
import type { Reader } from '../../store/store.js';
import type { OpRequest } from '../shared/operation.js';

/** A list as Keystone envelopes it: the items under their name, and links with the request's own URL. */
export function collection(
  request: OpRequest,
  name: string,
  items: readonly unknown[],
): { readonly links: { readonly next: null; readonly self: string; readonly previous: null } } {
  const path = request.raw.url.slice(request.raw.url.indexOf('/v3'));
  const links = { next: null, self: request.baseUrl + path, previous: null };
  return { [name]: items, links };
}

const COMPARISONS = ['equals', 'contains', 'startswith', 'endswith'] as const;

/** Inexact filters (`name__contains=x`, with an `i` in front when case is not to count); unknown ones do nothing. */
export function inexactFilters(request: OpRequest, columns: readonly string[]): Inexact[] {
  return Object.keys(request.query).flatMap((key) => {
    const parts = /^(.+?)__(i?)(.+)$/.exec(key);
    const [, column = '', insensitive, kind] = parts ?? [];
    const comparison = COMPARISONS.find((name) => name === kind || (insensitive && kind === 'exact'));
    if (!comparison || !columns.includes(column)) return [];
    return [{ column, comparison, ignoreCase: insensitive === 'i', value: parameter(request, key) ?? '' }];
  });
}

/** A page of a list: so many rows, and whether more follow. */
export interface Page<R> {
  readonly rows: readonly R[];
  /** The page's size when it was cut, else undefined. */
  readonly cutAt?: number;
}

/**
 * Runs a list with the request's `limit`, `marker`, `sort_key` and `sort_dir`. 400: a limit that is no number, or a column
 * that cannot be sorted by; 404: a marker that is not there.
 */
export async function page<R extends { readonly id: string }>(
  request: OpRequest,
  rows: { get(db: Reader, id: string): Promise<R | undefined> },
  sortable: readonly string[],
  list: (options: ListOptions) => Promise<R[]>,
): Promise<Page<R>> {
  const marker = parameter(request, 'marker');
  const after = marker ? await rows.get(request.app.store.read, marker) : undefined;
  if (marker && !after) throw notFound(`Marker ${marker} could not be found.`);
  const sortBy = parameter(request, 'sort_key') || undefined;
  if (sortBy !== undefined && !sortable.includes(sortBy)) throw badRequest(`Cannot sort by ${sortBy}.`);
  const direction = parameter(request, 'sort_dir') || 'asc';
  if (direction !== 'asc' && direction !== 'desc') {
    throw badRequest(`Invalid input for field 'sort_dir': '${direction}' is not one of ['asc', 'desc'].`);
  }
  const limit = pageSize(request);
  const found = await list({
    ...(sortBy !== undefined && { sortBy }),
    ...(after && { after }),
    ...(limit !== undefined && { limit: limit + 1 }),
    descending: direction === 'desc',
  });
  return limit !== undefined && found.length > limit
    ? { rows: found.slice(0, limit), cutAt: limit }
    : { rows: found };
}

/** Rows at most, unless a list is filtered down: as many as Keystone's max_db_limit. */
const MOST = 1000;

function pageSize(request: OpRequest): number | undefined {
  const text = parameter(request, 'limit');
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw badRequest(`Invalid input for field 'limit': '${text}' is not an integer.`);
  return Math.min(Number(text), MOST) || undefined;
}

/** A page as Keystone envelopes it: `links.next` leads to the rows after it. */
export function pagedCollection<R extends { readonly id: string }>(
  request: OpRequest,
  name: string,
  { rows, cutAt }: Page<R>,
  items: readonly unknown[],
) {
  const whole = collection(request, name, items);
  const last = rows.at(-1);
  if (cutAt === undefined || !last) return whole;
  const url = new URL(whole.links.self);
  url.searchParams.set('marker', last.id);
  url.searchParams.set('limit', String(cutAt));
  return { ...whole, links: { ...whole.links, next: url.href }, truncated: true };
}

/** A query parameter's text; the last one when it is given several times, as Keystone takes it. */
export function parameter(request: OpRequest, name: string): string | undefined {
  const value = request.query[name];
  return Array.isArray(value) ? value.at(-1) : value;
}

/** A yes-or-no parameter: present without value counts as yes, `0` and `false` as no. */
export function flag(request: OpRequest, name: string): boolean | undefined {
  const value = parameter(request, name);
  return value === undefined
    ? undefined
    : !['0', 'false', 'no', 'off', 'n', 'f'].includes(value.toLowerCase());
}

/**
 * Exact filters of a list as conditions on columns: text columns compare with the text, flags with 0 or 1. Unknown
 * parameters do nothing, as in Keystone.
 */
export function columnFilters(
  request: OpRequest,
  columns: { readonly text?: readonly string[]; readonly flags?: readonly string[] },
): Record<string, string | number> {
  const filters: Record<string, string | number> = {};
  for (const name of columns.text ?? []) {
    const value = parameter(request, name);
    if (value !== undefined && value !== '') filters[name] = value;
  }
  for (const name of columns.flags ?? []) {
    const value = flag(request, name);
    if (value !== undefined) filters[name] = value ? 1 : 0;
  }
  return filters;
}

/** Leaves the rows that satisfy the inexact filters on text columns; for rows that no query selects by them. */
export function inexact<R extends object>(
  request: OpRequest,
  rows: readonly R[],
  columns: readonly string[],
): R[] {
  const tests = inexactFilters(request, columns);
  return rows.filter((row) =>
    tests.every(({ column, comparison, ignoreCase, value }) => {
      const text = String((row as Record<string, unknown>)[column] ?? '');
      return ignoreCase
        ? RESEMBLES[comparison](text.toLowerCase(), value.toLowerCase())
        : RESEMBLES[comparison](text, value);
    }),
  );
}

const RESEMBLES: Readonly<Record<Inexact['comparison'], (text: string, wanted: string) => boolean>> = {
  equals: (text, wanted) => text === wanted,
  contains: (text, wanted) => text.includes(wanted),
  startswith: (text, wanted) => text.startsWith(wanted),
  endswith: (text, wanted) => text.endsWith(wanted),
};
