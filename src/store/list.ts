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
    // the alternatives below imply it, but only such a bound lets an index find the place to begin at
    const [first] = keys;
    const bound = sql.raw(first!.direction === 'asc' ? '>=' : '<=');
    q = q.where(
      sql<SqlBool>`${comparable(first!.column)} ${bound} ${plain(first!.column, marker[first!.column])}`,
    );
    q = q.where((eb) =>
      eb.or(
        keys.map((key, i) =>
          eb.and([
            ...keys
              .slice(0, i)
              .map((k) => sql<SqlBool>`${comparable(k.column)} = ${plain(k.column, marker[k.column])}`),
            key.direction === 'asc'
              ? sql<SqlBool>`${comparable(key.column)} > ${plain(key.column, marker[key.column])}`
              : sql<SqlBool>`${comparable(key.column)} < ${plain(key.column, marker[key.column])}`,
          ]),
        ),
      ),
    );
  }
  for (const key of keys) q = q.orderBy(comparable(key.column), key.direction);
  if (options.limit !== undefined && options.limit !== null) q = q.limit(options.limit);
  return q as Q;
}

/**
 * Nulls sort and compare as the empty text, in columns of numbers as −1, so that no row is lost between pages. Columns that are
 * never null stay as they are, so that an index can give their order.
 */
function comparable(column: string) {
  if (NULLABLE_NUMERIC.has(column)) return sql`coalesce(${sql.ref(column)}, -1)`;
  return NUMERIC.has(column) || NEVER_NULL.has(column)
    ? sql.ref(column)
    : sql`coalesce(${sql.ref(column)}, '')`;
}

function plain(column: string, value: unknown): unknown {
  if (value !== null && value !== undefined) return value;
  return NULLABLE_NUMERIC.has(column) ? -1 : '';
}

/** Columns of text that no table lets be null. */
const NEVER_NULL: ReadonlySet<string> = new Set(['id', 'created_at']);

/** Numeric columns that lists may be sorted by and that may hold null. */
const NULLABLE_NUMERIC: ReadonlySet<string> = new Set([
  'segmentation_id',
  'port_range_min',
  'port_range_max',
]);

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
  'shared',
  'external',
  'is_default',
  'port_security_enabled',
  'ip_version',
  'enable_dhcp',
  'stateful',
]);
