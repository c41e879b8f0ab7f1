import { badRequest } from '../../core/errors.js';
import type { OpRequest } from '../shared/operation.js';
import { lastValue } from '../shared/query.js';

/** Most items that one reply holds, also when more are asked for. */
export const MAX_LIMIT = 1000;

/** How a list is to be cut: limit (at most MAX_LIMIT) and the id to start after. */
export interface Page {
  readonly limit: number;
  readonly marker: string | null;
}

/** Reads `limit` and `marker`; 400 in Nova's words when limit is not a number. */
export function readPage(query: OpRequest['query']): Page {
  const text = lastValue(query.limit);
  if (text !== undefined && !/^[0-9]*$/.test(text)) {
    throw badRequest(
      `Invalid input for query parameters limit. Value: ${text}. '${text}' does not match '^[0-9]*$'`,
    );
  }
  const asked = text === undefined || text === '' ? MAX_LIMIT : Number(text);
  return { limit: Math.min(asked, MAX_LIMIT), marker: lastValue(query.marker) ?? null };
}

/** `[{rel: next, href}]` for the page after this one, with the rest of the query as it was; undefined on the last page. */
export function nextLinks(
  request: OpRequest,
  path: string,
  more: boolean,
  lastId: string | undefined,
): { rel: string; href: string }[] | undefined {
  if (!more || lastId === undefined) return undefined;
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(request.query)) {
    if (key !== 'marker') for (const v of [value].flat()) query.append(key, v);
  }
  query.append('marker', lastId);
  return [{ rel: 'next', href: `${request.baseUrl}/v2.1${path}?${query}` }];
}

/** Sort keys and directions, `allowed` mapping the API's names to columns. */
export function readSort(
  query: OpRequest['query'],
  allowed: Readonly<Record<string, string>>,
  usual: { column: string; direction: 'asc' | 'desc' }[],
): { column: string; direction: 'asc' | 'desc' }[] {
  const keys = [query.sort_key ?? []].flat();
  const directions = [query.sort_dir ?? []].flat();
  for (const direction of directions) {
    if (direction !== 'asc' && direction !== 'desc') {
      throw badRequest(`Unknown sort direction, must be one of: asc, desc`);
    }
  }
  if (keys.length === 0) {
    const direction = directions[0] as 'asc' | 'desc' | undefined;
    return direction ? usual.map((sort) => ({ ...sort, direction })) : usual;
  }
  return keys.map((key, i) => {
    const column = Object.hasOwn(allowed, key) ? allowed[key] : undefined;
    if (column === undefined) {
      throw badRequest(
        `Invalid input for query parameters sort_key. Value: ${key}. '${key}' is not one of ${JSON.stringify(Object.keys(allowed))}`,
      );
    }
    return { column, direction: (directions[i] ?? directions.at(-1) ?? 'desc') as 'asc' | 'desc' };
  });
}
