import { type ExpressionWrapper, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';

/** How a list is filtered, sorted and paged: the same for every resource. */
export interface ListOptions {
  /** Column → accepted values (any of them); null stands for SQL null. Only columns the caller has checked. */
  readonly filters?: Readonly<Record<string, readonly (string | number | null)[]>>;
  /** Columns to sort by; `id` is added as the last, so the order is total. */
  readonly sort?: readonly { readonly column: string; readonly direction: 'asc' | 'desc' }[];
  /** The row to start after: values of the sort columns and its id. */
  readonly marker?: Readonly<Record<string, unknown>> | null;
  readonly limit?: number | null;
  /** True: the page before the marker, given in normal order by the caller reversing it. */
  readonly reverse?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: works on a select from any table; column names are checked by the caller
type AnySelect = SelectQueryBuilder<any, any, any>;

/** Adds filters, order, marker and limit to a select from one table (keyset paging: constant cost per page). */
export function applyList<Q extends AnySelect>(query: Q, options: ListOptions): Q {
  let q: AnySelect = query;
  for (const [column, values] of Object.entries(options.filters ?? {})) {
    const present = values.filter((v) => v !== null);
    q = q.where((eb) => {
      const parts: ExpressionWrapper<never, never, SqlBool>[] = [];
      if (present.length) parts.push(eb(column, 'in', present) as never);
      if (present.length < values.length) parts.push(eb(column, 'is', null) as never);
      return parts.length ? eb.or(parts as never) : sql<SqlBool>`1 = 0`;
    });
  }
  const order = [...(options.sort ?? [])].filter((s) => s.column !== 'id');
  const idDirection = options.sort?.find((s) => s.column === 'id')?.direction ?? 'asc';
  const keys = [...order, { column: 'id', direction: idDirection }].map((key) => ({
    column: key.column,
    direction: options.reverse ? (key.direction === 'asc' ? 'desc' : 'asc') : key.direction,
  })) as { column: string; direction: 'asc' | 'desc' }[];
  const marker = options.marker;
  if (marker) {
    q = q.where((eb) =>
      eb.or(
        keys.map((key, i) =>
          eb.and([
            ...keys
              .slice(0, i)
              .map((k) => sql<SqlBool>`${comparable(k.column)} = ${plain(marker[k.column])}`),
            key.direction === 'asc'
              ? sql<SqlBool>`${comparable(key.column)} > ${plain(marker[key.column])}`
              : sql<SqlBool>`${comparable(key.column)} < ${plain(marker[key.column])}`,
          ]),
        ),
      ),
    );
  }
  for (const key of keys) q = q.orderBy(comparable(key.column), key.direction);
  if (options.limit !== undefined && options.limit !== null) q = q.limit(options.limit);
  return q as Q;
}

/** Nulls sort and compare as the empty text; numbers in these columns are never null. */
function comparable(column: string) {
  return NUMERIC.has(column) ? sql.ref(column) : sql`coalesce(${sql.ref(column)}, '')`;
}

function plain(value: unknown): unknown {
  return value === null || value === undefined ? '' : value;
}

/** Numeric columns that lists may be sorted by; extend with the table. */
export const NUMERIC: ReadonlySet<string> = new Set([
  'size',
  'min_disk',
  'min_ram',
  'mtu',
  'memory_mb',
  'vcpus',
  'root_gb',
  'admin_state_up',
  'revision_number',
  'internal_id',
  'size_gb',
  'bootable',
]);
