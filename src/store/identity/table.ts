import { type Insertable, type Selectable, sql, type Updateable } from 'kysely';
import type { Database } from '../database.js';
import { oneOf } from '../one-of.js';
import type { Reader, Tx } from '../store.js';
import type { Compared } from './compared.js';

/** Tables of identity whose rows have an id of their own. */
type IdTable =
  | 'project'
  | 'user'
  | 'group'
  | 'role'
  | 'region'
  | 'service'
  | 'endpoint'
  | 'application_credential'
  | 'access_rule'
  | 'credential'
  | 'trust'
  | 'policy'
  | 'endpoint_group'
  | 'oauth_consumer'
  | 'oauth_request_token'
  | 'oauth_access_token'
  | 'registered_limit'
  | 'project_limit';

/** A value to compare with, or several of which any may match. */
type Filter = string | number | null | readonly (string | number)[];

/** A text column that must resemble a value. */
export interface Inexact {
  readonly column: string;
  readonly comparison: 'equals' | 'contains' | 'startswith' | 'endswith';
  /** SQLite ignores the case of ASCII letters only. */
  readonly ignoreCase: boolean;
  readonly value: string;
}

/** What a list takes besides exact filters. */
export interface ListOptions {
  readonly compared?: readonly Compared[];
  readonly inexact?: readonly Inexact[];
  /** No more rows than this. */
  readonly limit?: number;
  /** The row after which the list begins. */
  readonly after?: { readonly id: string; readonly [column: string]: unknown };
  /** Column to sort by, before the id; the id alone by default. */
  readonly sortBy?: string;
  readonly descending?: boolean;
}

/** The queries that every table with ids needs. Filters name columns; the caller has checked them. */
export interface IdRows<N extends IdTable> {
  get(db: Reader, id: string): Promise<Selectable<Database[N]> | undefined>;
  list(
    db: Reader,
    filters?: Readonly<Record<string, Filter>>,
    options?: ListOptions,
  ): Promise<Selectable<Database[N]>[]>;
  insert(tx: Tx, row: Insertable<Database[N]>): Promise<void>;
  update(tx: Tx, id: string, patch: Updateable<Database[N]>): Promise<void>;
  remove(tx: Tx, id: string): Promise<void>;
}

/** Values that are parameters of their own; statements can only have so many. More are of text columns, such as ids. */
export const FEW = 100;

/** Builds the queries of one table. */
export function idRows<N extends IdTable>(name: N): IdRows<N> {
  // kysely cannot type a table chosen by a type parameter, so the untyped builder is confined to this function
  // biome-ignore lint/suspicious/noExplicitAny: see above
  const on = (db: Reader): any => db;
  return {
    get: (db, id) => on(db).selectFrom(name).selectAll().where('id', '=', id).executeTakeFirst(),
    async list(db, filters = {}, options = {}) {
      let query = on(db).selectFrom(name).selectAll();
      for (const [column, value] of Object.entries(filters)) {
        if (value === null) query = query.where(column, 'is', null);
        else if (!Array.isArray(value)) query = query.where(column, '=', value);
        else if (value.length === 0) return [];
        else if (value.length > FEW) query = query.where(oneOf(db, column, value.map(String)));
        else query = query.where(column, 'in', value);
      }
      for (const { column, operator, value } of options.compared ?? []) {
        query = query.where(column, operator, value);
      }
      return paged(resembling(query, options.inexact ?? []), options).execute();
    },
    insert: (tx, row) => on(tx).insertInto(name).values(row).execute(),
    async update(tx, id, patch) {
      if (Object.keys(patch).length === 0) return;
      await on(tx).updateTable(name).set(patch).where('id', '=', id).execute();
    },
    remove: (tx, id) => on(tx).deleteFrom(name).where('id', '=', id).execute(),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the untyped builder, see idRows
export function resembling(query: any, conditions: readonly Inexact[]): any {
  return conditions.reduce((narrowed, { column, comparison, ignoreCase, value }) => {
    if (value === '' && comparison !== 'equals') return narrowed;
    const text = sql`coalesce(${sql.ref(column)}, '')`;
    const given = sql`cast(${value} as text)`;
    const [has, wanted] = ignoreCase ? [sql`lower(${text})`, sql`lower(${given})`] : [text, given];
    return narrowed.where(RESEMBLES[comparison](has, wanted));
  }, query);
}

type Text = ReturnType<typeof sql>;

/** In functions that SQLite and PostgreSQL have in common, and without the wildcards of `like`. */
const RESEMBLES: Readonly<
  Record<Inexact['comparison'], (has: Text, wanted: Text) => ReturnType<typeof sql<boolean>>>
> = {
  equals: (has, wanted) => sql<boolean>`${has} = ${wanted}`,
  contains: (has, wanted) => sql<boolean>`replace(${has}, ${wanted}, '') <> ${has}`,
  startswith: (has, wanted) => sql<boolean>`substr(${has}, 1, length(${wanted})) = ${wanted}`,
  endswith: (has, wanted) =>
    sql<boolean>`length(${has}) >= length(${wanted}) and substr(${has}, length(${has}) - length(${wanted}) + 1) = ${wanted}`,
};

// biome-ignore lint/suspicious/noExplicitAny: the untyped builder, see idRows
export function paged(query: any, { limit, after, sortBy, descending }: ListOptions): any {
  const [direction, beyond] = descending ? (['desc', '<'] as const) : (['asc', '>'] as const);
  let page = query;
  // NULL sorts first on one database and last on the other: both take it as an empty text
  const sorted = sortBy === undefined ? null : sql`coalesce(${sql.ref(sortBy)}, '')`;
  if (after) {
    const id = sql`${sql.ref('id')} ${sql.raw(beyond)} ${after.id}`;
    const value = sql`${after[sortBy ?? 'id'] ?? ''}`;
    page = page.where(
      sorted ? sql`(${sorted} ${sql.raw(beyond)} ${value} or (${sorted} = ${value} and ${id}))` : id,
    );
  }
  if (sorted) page = page.orderBy(sorted, direction);
  page = page.orderBy('id', direction);
  return limit === undefined ? page : page.limit(limit);
}
