import type { PolicyTarget } from '../../../core/context.js';
import { findServerGroup } from '../../../store/compute/group.js';
import { findServer } from '../../../store/compute/server.js';
import type { OpRequest } from '../../shared/operation.js';

/** The attributes of the server, or server group, that a request is about; undefined when it is about none, or there is none. */
export async function serverTarget({ app, params, raw }: OpRequest): Promise<PolicyTarget | undefined> {
  const { server_id, id } = params;
  if (server_id !== undefined) {
    const server = await findServer(app.store.read, server_id);
    if (!server) return undefined;
    const { id: serverId, name, project_id, user_id, availability_zone, host_id, flavor_id } = server;
    const found = { id: serverId, name, project_id, user_id, availability_zone, host_id, flavor_id };
    return { ...found, tenant_id: project_id };
  }
  // of the route, not of the URL, which may be spelt otherwise
  if (id === undefined || !raw.routeOptions.url?.endsWith('/os-server-groups/:id')) return undefined;
  const group = await findServerGroup(app.store.read, id);
  return group && { ...group, tenant_id: group.project_id };
}
