import { sql } from 'kysely';
import { applyList, type ListOptions } from '../list.js';
import type { Reader } from '../store.js';

export interface ServerListOptions extends ListOptions {
  /** Null: all projects. */
  readonly projectId: string | null;
  /** false: living ones; true: deleted ones; null: both. */
  readonly deleted: boolean | null;
  readonly changesSince?: string | null;
  readonly changesBefore?: string | null;
  readonly tags?: readonly string[];
  readonly tagsAny?: readonly string[];
  readonly notTags?: readonly string[];
  readonly notTagsAny?: readonly string[];
}

/** A server in a list, as much of it as lists without details and the cache of rendered servers need. */
export interface ListedServerRow {
  readonly id: string;
  readonly name: string;
  readonly revision: number;
  readonly host_id: string | null;
}

/** The columns that lists need, in the order and from the place asked for: one query. */
export async function listServerRows(db: Reader, options: ServerListOptions): Promise<ListedServerRow[]> {
  let query = db.selectFrom('server').select(['id', 'name', 'revision', 'host_id']);
  if (options.projectId !== null) query = query.where('project_id', '=', options.projectId);
  if (options.deleted === false) query = query.where('deleted_at', 'is', null);
  if (options.deleted === true) query = query.where('deleted_at', 'is not', null);
  if (options.changesSince) query = query.where('updated_at', '>=', options.changesSince);
  if (options.changesBefore) query = query.where('updated_at', '<=', options.changesBefore);
  const tagged = (tag: string) => sql<boolean>`exists (select 1 from server_tag t
    where t.server_id = server.id and t.tag = ${tag})`;
  for (const tag of options.tags ?? []) query = query.where(tagged(tag));
  if (options.tagsAny?.length) query = query.where((eb) => eb.or(options.tagsAny!.map(tagged)));
  // "not-tags": not all of them; "not-tags-any": none of them
  if (options.notTags?.length) {
    query = query.where((eb) => eb.or(options.notTags!.map((tag) => eb.not(tagged(tag)))));
  }
  for (const tag of options.notTagsAny ?? []) query = query.where((eb) => eb.not(tagged(tag)));
  return await applyList(query, options).execute();
}

/** Addresses of servers' ports, for filters by address. */
export async function serverIps(
  db: Reader,
  serverIds: readonly string[],
): Promise<{ server_id: string | null; ip_address: string }[]> {
  const found: { server_id: string | null; ip_address: string }[] = [];
  for (let at = 0; at < serverIds.length; at += 500) {
    found.push(
      ...(await db
        .selectFrom('port')
        .innerJoin('ip_allocation', 'ip_allocation.port_id', 'port.id')
        .select(['port.server_id as server_id', 'ip_allocation.ip_address'])
        .where('port.server_id', 'in', serverIds.slice(at, at + 500))
        .execute()),
    );
  }
  return found;
}
