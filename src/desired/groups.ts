import { groupBy } from '../group-by.js';

/** What `key` gives, once each. */
export function distinct<T>(rows: readonly T[], key: (row: T) => string): string[] {
  return [...new Set(rows.map(key))];
}

/** One map per host. */
export function byHost<T extends { readonly host_id: string }, B>(
  rows: readonly T[],
  entries: (rows: readonly T[], hostId: string) => Iterable<readonly [string, B]>,
): Map<string, Map<string, B>> {
  return new Map(
    [...groupBy(rows, (row) => row.host_id)].map(([hostId, own]) => [hostId, new Map(entries(own, hostId))]),
  );
}
