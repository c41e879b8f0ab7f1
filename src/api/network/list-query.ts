import { badRequest } from '../../core/errors.js';
import type { AddressFilter, ResourceQuery, TagFilter } from '../../store/network/list.js';
import { toBoolean, toInteger } from './converters.js';

/** How an attribute can be filtered and sorted by: its column, or a fixed value that every row has. */
export type Filter =
  | { readonly column: string; readonly type: 'text' | 'boolean' | 'integer' }
  | { readonly constant: string };

export type Filters = Readonly<Record<string, Filter>>;

export type Query = Readonly<Record<string, string | string[]>>;

/** The part of a list query that the store answers. */
export type ParsedQuery = Omit<ResourceQuery, 'visibleTo' | 'marker' | 'id'> & {
  readonly markerId: string | null;
};

const TAG_FILTERS = {
  tags: 'all',
  'tags-any': 'any',
  'not-tags': 'notAll',
  'not-tags-any': 'notAny',
} as const;
const PAGING = new Set(['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir']);
/** Conditions on ports that are no columns of theirs. */
const PORT_FILTERS = new Set(['fixed_ips', 'security_groups', 'security_group_id', 'ip_address']);

/** Reads a list's query string; unknown filters are refused, so that a misspelt one does not list everything. */
export function parseListQuery(query: Query, filters: Filters, isPort: boolean): ParsedQuery {
  const wrong = Object.keys(query).filter(
    (key) =>
      !Object.hasOwn(filters, key) &&
      !PAGING.has(key) &&
      !(key in TAG_FILTERS) &&
      !(isPort && PORT_FILTERS.has(key)),
  );
  if (wrong.length) {
    const names = wrong.map((name) => `'${name}'`).join(', ');
    throw badRequest(`[${names}] is invalid attribute for filtering`, 'HTTPBadRequest');
  }
  const limit = parseLimit(query.limit);
  return {
    ...columnFilters(query, filters),
    ...tagFilters(query),
    ...(isPort ? portFilters(query) : {}),
    sort: parseSort(query, filters),
    limit,
    reverse: query.page_reverse !== undefined && toBoolean([query.page_reverse].flat()[0]),
    markerId: query.marker === undefined ? null : ([query.marker].flat()[0] ?? null),
  };
}

/** The attributes asked for with `fields`; null: all. */
export function wantedFields(query: Query): ReadonlySet<string> | null {
  if (query.fields === undefined) return null;
  const names = [query.fields].flat().filter((name) => name !== '');
  return names.length ? new Set(names) : null;
}

function columnFilters(query: Query, filters: Filters): Pick<ResourceQuery, 'filters'> {
  const columns: Record<string, (string | number)[]> = {};
  for (const [key, filter] of Object.entries(filters)) {
    if (query[key] === undefined) continue;
    const values = [query[key]!].flat();
    if ('constant' in filter) {
      // a condition that no row can meet
      if (!values.includes(filter.constant)) columns.id = [];
      continue;
    }
    const wanted = values.map((value) =>
      filter.type === 'boolean'
        ? toBoolean(value)
          ? 1
          : 0
        : filter.type === 'integer'
          ? toInteger(value)
          : value,
    );
    const before = columns[filter.column];
    columns[filter.column] = before ? before.filter((value) => wanted.includes(value)) : wanted;
  }
  return { filters: columns };
}

function tagFilters(query: Query): Pick<ResourceQuery, 'tags'> {
  const tags: Record<string, string[]> = {};
  for (const [key, name] of Object.entries(TAG_FILTERS)) {
    if (query[key] === undefined) continue;
    tags[name] = [query[key]!].flat().flatMap((value) => value.split(','));
  }
  return Object.keys(tags).length ? { tags: tags as TagFilter } : {};
}

/** `fixed_ips=ip_address=10.0.0.5`, `fixed_ips=subnet_id=…`, `security_groups=…`. */
function portFilters(query: Query): Pick<ResourceQuery, 'fixedIps' | 'securityGroups'> {
  const addresses: Record<string, string[]> = {};
  for (const part of [query.fixed_ips ?? []].flat().flatMap((value) => value.split(','))) {
    const [key = '', value = ''] = part.split(/=(.*)/s);
    if (!['ip_address', 'subnet_id', 'ip_address_substr'].includes(key)) {
      throw badRequest(`'${part}' is invalid for filter fixed_ips`, 'HTTPBadRequest');
    }
    addresses[key] = [...(addresses[key] ?? []), value];
  }
  if (query.ip_address !== undefined) addresses.ip_address = [query.ip_address].flat();
  const groups = [query.security_groups ?? [], query.security_group_id ?? []].flat(2);
  return {
    ...(Object.keys(addresses).length ? { fixedIps: addresses as AddressFilter } : {}),
    ...(groups.length ? { securityGroups: groups.flatMap((value) => value.split(',')) } : {}),
  };
}

function parseSort(query: Query, filters: Filters): ResourceQuery['sort'] {
  const keys = [query.sort_key ?? []].flat();
  const directions = [query.sort_dir ?? []].flat();
  if (directions.length > 0 && directions.length !== keys.length) {
    throw badRequest('The number of sort_keys and sort_dirs must be same', 'HTTPBadRequest');
  }
  return keys.flatMap((key, i) => {
    const filter = Object.hasOwn(filters, key) ? filters[key] : undefined;
    if (!filter) throw badRequest(`['${key}'] is invalid attribute for sort keys`, 'HTTPBadRequest');
    const direction = directions[i] ?? 'asc';
    if (direction !== 'asc' && direction !== 'desc') {
      throw badRequest(
        `['${direction}'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'`,
        'HTTPBadRequest',
      );
    }
    return 'constant' in filter ? [] : [{ column: filter.column, direction }];
  });
}

/** More than any table holds, and still an integer to both databases. */
const MOST_ROWS = 2_147_483_647;

function parseLimit(value: string | string[] | undefined): number | null {
  if (value === undefined) return null;
  const [text] = [value].flat();
  if (!text || !/^\d+$/.test(text)) {
    throw badRequest(`Limit must be an integer 0 or greater and not '${text}'`, 'HTTPBadRequest');
  }
  // 0 means: no limit
  return Math.min(Number(text), MOST_ROWS) || null;
}
