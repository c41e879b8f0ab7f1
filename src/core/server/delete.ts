import { takeServer } from '../../store/compute/server.js';
import type { Tx } from '../../store/store.js';
import { releaseResources } from '../allocation/claim.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { ownServer } from './find.js';
import { beginAction } from './history.js';
import { checkLegal } from './legal.js';

/**
 * Asks for a server's removal: its quota and ports are free at once, its host is told to destroy it; the API knows it until the
 * host has, or is down. Asking again is harmless. Whatever else was under way with it ends.
 */
export async function deleteServer(app: App, ctx: Context, id: string): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    checkLegal(ctx, server, 'delete');
    if (server.delete_requested_at !== null) return;
    await beginAction(tx, ctx, server, 'delete');
    await app.tasks.start(tx, {
      kind: 'server.delete',
      object: { kind: 'server', id },
      projectId: server.project_id,
      requestId: ctx.requestId,
      supersedes: 'the server is being deleted',
    });
  });
}

/** The host destroyed what a tombstone named: its capacity is free, and whoever waited for that goes on. */
export async function onServerGone(app: App, tx: Tx, hostId: string, serverId: string): Promise<void> {
  // the server's row before its task's, as everybody takes them
  await takeServer(tx, serverId);
  await releaseResources(tx, serverId, hostId);
  await app.tasks.wake(tx, { kind: 'server', id: serverId });
}
