import type { Insertable, Selectable, Updateable } from 'kysely';
import type { Database } from '../database.js';
import type { Reader, Tx } from '../store.js';

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
  | 'oauth_access_token';

/** A value to compare with, or several of which any may match. */
type Filter = string | number | null | readonly (string | number)[];

/** The queries that every table with ids needs. Filters name columns; the caller has checked them. */
export interface IdRows<N extends IdTable> {
  get(db: Reader, id: string): Promise<Selectable<Database[N]> | undefined>;
  list(db: Reader, filters?: Readonly<Record<string, Filter>>): Promise<Selectable<Database[N]>[]>;
  insert(tx: Tx, row: Insertable<Database[N]>): Promise<void>;
  update(tx: Tx, id: string, patch: Updateable<Database[N]>): Promise<void>;
  remove(tx: Tx, id: string): Promise<void>;
}

/** Builds the queries of one table. */
export function idRows<N extends IdTable>(name: N): IdRows<N> {
  // kysely cannot type a table chosen by a type parameter, so the untyped builder is confined to this function
  // biome-ignore lint/suspicious/noExplicitAny: see above
  const on = (db: Reader): any => db;
  return {
    get: (db, id) => on(db).selectFrom(name).selectAll().where('id', '=', id).executeTakeFirst(),
    async list(db, filters = {}) {
      let query = on(db).selectFrom(name).selectAll();
      for (const [column, value] of Object.entries(filters)) {
        if (value === null) query = query.where(column, 'is', null);
        else if (!Array.isArray(value)) query = query.where(column, '=', value);
        else if (value.length === 0) return [];
        else query = query.where(column, 'in', value);
      }
      return query.orderBy('id').execute();
    },
    insert: (tx, row) => on(tx).insertInto(name).values(row).execute(),
    async update(tx, id, patch) {
      if (Object.keys(patch).length === 0) return;
      await on(tx).updateTable(name).set(patch).where('id', '=', id).execute();
    },
    remove: (tx, id) => on(tx).deleteFrom(name).where('id', '=', id).execute(),
  };
}
