import { type Expression, type SqlBool, SqliteAdapter, sql } from 'kysely';
import type { Reader } from './store.js';

/**
 * `column in (ids)` with one parameter whatever the number of ids: the statement's text stays the same, so it is prepared once,
 * and no limit on parameters is met.
 */
export function oneOf(db: Reader, column: string, ids: readonly string[]): Expression<SqlBool> {
  const name = sql.ref(column);
  return db.getExecutor().adapter instanceof SqliteAdapter
    ? sql<SqlBool>`${name} in (select value from json_each(${JSON.stringify(ids)}))`
    : sql<SqlBool>`${name} = any(${[...ids]}::text[])`;
}
