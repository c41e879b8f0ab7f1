import type { Reader } from '../store.js';
import type { ServerRow } from './server.js';

export type UsedServer = Pick<
  ServerRow,
  'id' | 'name' | 'project_id' | 'flavor' | 'vm_state' | 'launched_at' | 'deleted_at'
>;

/** Where a page of such servers begins, and how many it holds; they are ordered by project and id. */
export interface UsagePage {
  readonly limit: number;
  /** The last server of the page before; null: from the first on. */
  readonly after: { readonly project_id: string; readonly id: string } | null;
}

/** Servers that ran at some time within a span, of one project or (null) of all: a page of them, or (null) all. */
export async function serversInSpan(
  db: Reader,
  projectId: string | null,
  start: string,
  stop: string,
  page: UsagePage | null,
): Promise<UsedServer[]> {
  let query = db
    .selectFrom('server')
    .select(['id', 'name', 'project_id', 'flavor', 'vm_state', 'launched_at', 'deleted_at'])
    .where('launched_at', '<', stop)
    .where((eb) => eb.or([eb('deleted_at', 'is', null), eb('deleted_at', '>', start)]));
  if (projectId !== null) query = query.where('project_id', '=', projectId);
  if (!page) return await query.orderBy('internal_id').execute();
  const { after, limit } = page;
  if (after) {
    query = query.where((eb) =>
      eb.or([
        eb('project_id', '>', after.project_id),
        eb.and([eb('project_id', '=', after.project_id), eb('id', '>', after.id)]),
      ]),
    );
  }
  return await query.orderBy('project_id').orderBy('id').limit(limit).execute();
}

/** A server that a page may end with, also one that is deleted: of the project, or (null) of any. */
export async function findUsedServer(
  db: Reader,
  projectId: string | null,
  id: string,
): Promise<Pick<ServerRow, 'id' | 'project_id'> | undefined> {
  let query = db.selectFrom('server').select(['id', 'project_id']).where('id', '=', id);
  if (projectId !== null) query = query.where('project_id', '=', projectId);
  return await query.executeTakeFirst();
}
