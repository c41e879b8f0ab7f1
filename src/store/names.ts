import type { Reader } from './store.js';

/** Things that operators name by id or name. */
export type NamedTable = 'flavor' | 'image' | 'network' | 'port' | 'project' | 'server_group' | 'server';

export interface Named {
  readonly id: string;
  readonly name: string;
}

/** Rows with this id, or else with this name; of whatever project. */
export async function findNamed(db: Reader, table: NamedTable, idOrName: string): Promise<Named[]> {
  const byId = await rows(db, table).where('id', '=', idOrName).execute();
  if (byId.length > 0) return byId.map(named);
  return (await rows(db, table).where('name', '=', idOrName).orderBy('id').limit(10).execute()).map(named);
}

/** Some names that there are, for suggestions. */
export async function someNames(db: Reader, table: NamedTable, limit: number): Promise<string[]> {
  const found = await rows(db, table).orderBy('name').limit(limit).execute();
  return [...new Set(found.flatMap((row) => row.name || []))];
}

function rows(db: Reader, table: NamedTable) {
  const query = db.selectFrom(table as 'flavor').select(['id', 'name']);
  if (table === 'image') return query.where('deleted' as 'id', '=', 0 as unknown as string);
  if (table === 'project') return query.where('is_domain' as 'id', '=', 0 as unknown as string);
  return table === 'server' ? query.where('deleted_at' as 'id', 'is', null as unknown as string) : query;
}

function named(row: { readonly id: string; readonly name: string | null }): Named {
  return { id: row.id, name: row.name ?? '' };
}
