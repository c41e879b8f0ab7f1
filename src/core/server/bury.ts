import { serverObjects } from '../../desired/server.js';
import type { ServerRow } from '../../store/compute/server.js';
import { addTombstone } from '../../store/hosts.js';
import { recordChange, type Tx } from '../../store/store.js';
import { unbindPort } from '../binding/bind.js';
import { portsOfServers } from '../port/of-servers.js';
import { saveServer } from './save.js';

/** Puts the server's tombstone into the host's spec: the guest and its disks are destroyed there. */
export async function buryOn(
  tx: Tx,
  server: ServerRow,
  hostId: string,
  requestId: string | null,
): Promise<void> {
  const body = (await serverObjects(tx, [server])).get(server.id)!;
  await addTombstone(tx, hostId, 'server', server.id, body, requestId);
  await recordChange(tx, 'server', server.id, requestId);
}

/**
 * Takes a server that was never up from its host: the host is to destroy what it has of it, and the server has no host until
 * that is confirmed.
 */
export async function takeFromHost(tx: Tx, server: ServerRow): Promise<ServerRow> {
  if (server.host_id === null) return server;
  await buryOn(tx, server, server.host_id, server.task_request_id);
  for (const { port_id } of (await portsOfServers(tx, [server.id])).get(server.id) ?? []) {
    await unbindPort(tx, port_id);
  }
  const failed = [...new Set([...(JSON.parse(server.failed_hosts) as string[]), server.host_id])];
  return await saveServer(tx, server, {
    host_id: null,
    observed_power: null,
    failed_hosts: JSON.stringify(failed),
  });
}
