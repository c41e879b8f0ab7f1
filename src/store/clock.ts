import { type RawBuilder, SqliteAdapter, sql } from 'kysely';
import type { Reader } from './store.js';

/** The database's clock, in milliseconds since 1970: what several controllers agree on whatever their own clocks say. */
export function databaseNow(db: Reader): RawBuilder<number> {
  return db.getExecutor().adapter instanceof SqliteAdapter
    ? sql<number>`cast((julianday('now') - 2440587.5) * 86400000 as integer)`
    : sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;
}
