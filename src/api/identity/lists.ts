import { badRequest } from '../../core/errors.js';
import type { OpRequest } from '../shared/operation.js';

/** A list as Keystone envelopes it: the items under their name, and links with the request's own URL. */
export function collection(request: OpRequest, name: string, items: readonly unknown[]) {
  const path = request.raw.url.slice(request.raw.url.indexOf('/v3'));
  return { [name]: items, links: { next: null, self: request.baseUrl + path, previous: null } };
}

type Comparison = (value: string, wanted: string) => boolean;

/** Suffixes of inexact filters: `name__contains=x`. */
const COMPARISONS: Readonly<Record<string, Comparison>> = {
  contains: (value, wanted) => value.includes(wanted),
  icontains: (value, wanted) => value.toLowerCase().includes(wanted.toLowerCase()),
  startswith: (value, wanted) => value.startsWith(wanted),
  istartswith: (value, wanted) => value.toLowerCase().startsWith(wanted.toLowerCase()),
  endswith: (value, wanted) => value.endsWith(wanted),
  iendswith: (value, wanted) => value.toLowerCase().endsWith(wanted.toLowerCase()),
  iexact: (value, wanted) => value.toLowerCase() === wanted.toLowerCase(),
};

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

/** Leaves the rows that satisfy the inexact filters on text columns. */
export function inexact<R extends object>(
  request: OpRequest,
  rows: readonly R[],
  columns: readonly string[],
): R[] {
  const tests: ((row: R) => boolean)[] = [];
  for (const key of Object.keys(request.query)) {
    const [column, comparison] = key.split('__') as [string, string | undefined];
    if (comparison === undefined || !columns.includes(column)) continue;
    const compare = COMPARISONS[comparison];
    if (!compare) throw badRequest(`There is no comparison '${comparison}'.`);
    const wanted = parameter(request, key) ?? '';
    tests.push((row) => compare(String((row as Record<string, unknown>)[column] ?? ''), wanted));
  }
  return rows.filter((row) => tests.every((test) => test(row)));
}
