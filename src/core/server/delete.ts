import { serverObjects } from '../../desired/server.js';
import { leavingServers, type ServerRow, takeServer } from '../../store/compute/server.js';
import { addTombstone } from '../../store/hosts.js';
import { nowText, recordChange, type Tx } from '../../store/store.js';
import { releaseResources } from '../allocation/claim.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { deleteServerPorts } from '../port/for-server.js';
import { ownServer } from './find.js';
import { beginAction, endAction } from './history.js';
import { checkLegal } from './legal.js';
import { saveServer } from './save.js';

/**
 * Asks for a server's removal: its quota and ports are free at once, its host is told to destroy it; the API knows it until the
 * host has, or is down. Asking again is harmless.
 */
export async function deleteServer(app: App, ctx: Context, id: string): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    checkLegal(ctx, server, 'delete');
    if (server.delete_requested_at !== null) return;
    await beginAction(tx, ctx, server, 'delete');
    const leaving = await saveServer(tx, server, {
      delete_requested_at: nowText(),
      task_state: 'deleting',
      task_request_id: ctx.requestId,
      task_deadline: null,
    });
    if (server.host_id !== null) await buryOn(tx, server, server.host_id, ctx.requestId);
    await deleteServerPorts(tx, id);
    if (server.host_id === null || app.hosts.isDown(server.host_id)) await forgetServer(tx, leaving);
  });
}

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

/** Lets the API forget a server that is gone, or whose host cannot answer; a tombstone may stay for when it can. */
export async function forgetServer(tx: Tx, server: ServerRow): Promise<void> {
  await endAction(tx, server, null);
  await saveServer(tx, server, { deleted_at: nowText(), task_state: null, task_deadline: null });
  if (server.host_id === null) await releaseResources(tx, server.id);
}

/** The host destroyed what a tombstone named: its capacity is free, and the server is gone if this was its host. */
export async function onServerGone(tx: Tx, hostId: string, serverId: string): Promise<void> {
  await releaseResources(tx, serverId, hostId);
  const server = await takeServer(tx, serverId);
  if (server?.host_id === hostId && server.delete_requested_at !== null) await forgetServer(tx, server);
}

/** Forgets servers that were waiting for a host that has meanwhile gone down. */
export async function forgetOnDownHosts(app: App): Promise<void> {
  for (const { id, host_id } of await leavingServers(app.store.read)) {
    if (host_id !== null && !app.hosts.isDown(host_id)) continue;
    await app.store.tx(async (tx) => {
      const server = await takeServer(tx, id);
      if (server?.delete_requested_at) await forgetServer(tx, server);
    });
  }
}
