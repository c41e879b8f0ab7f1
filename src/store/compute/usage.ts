import type { Reader } from '../store.js';
import type { ServerRow } from './server.js';

export type UsedServer = Pick<
  ServerRow,
  'id' | 'name' | 'project_id' | 'flavor' | 'vm_state' | 'launched_at' | 'deleted_at'
>;

/** Servers that ran at some time within a span, of one project or (null) of all. */
export async function serversInSpan(
  db: Reader,
  projectId: string | null,
  start: string,
  stop: string,
): Promise<UsedServer[]> {
  let query = db
    .selectFrom('server')
    .select(['id', 'name', 'project_id', 'flavor', 'vm_state', 'launched_at', 'deleted_at'])
    .where('launched_at', '<', stop)
    .where((eb) => eb.or([eb('deleted_at', 'is', null), eb('deleted_at', '>', start)]));
  if (projectId !== null) query = query.where('project_id', '=', projectId);
  return await query.orderBy('internal_id').execute();
}
