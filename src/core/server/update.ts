import { replaceTags, type ServerChange, type ServerRow, tagsOfServers } from '../../store/compute/server.js';
import { recordChange } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, notFound, overQuota } from '../errors.js';
import { COMPUTE_QUOTAS } from '../quota/compute.js';
import { effectiveLimits } from '../quota/quota.js';
import { ownServer } from './find.js';
import { beginAction } from './history.js';
import { checkLegal } from './legal.js';
import { saveServer } from './save.js';

/** What may be changed of a server at any time. */
export type ServerChanges = Pick<
  ServerChange,
  'name' | 'description' | 'access_ip_v4' | 'access_ip_v6' | 'disk_config' | 'hostname'
>;

export async function updateServer(
  app: App,
  ctx: Context,
  id: string,
  changes: ServerChanges,
): Promise<ServerRow> {
  return await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    await recordChange(tx, 'server', id, ctx.requestId);
    return await saveServer(tx, server, changes);
  });
}

export type Metadata = Readonly<Record<string, string>>;

/** Replaces, adds to or takes from a server's metadata: `change` gives the new from the old. */
export async function changeMetadata(
  app: App,
  ctx: Context,
  id: string,
  change: (old: Metadata) => Metadata,
): Promise<Metadata> {
  return await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    checkLegal(ctx, server, 'metadata');
    const metadata = change(JSON.parse(server.metadata) as Metadata);
    const limits = await effectiveLimits(tx, server.project_id, 'compute', COMPUTE_QUOTAS);
    const most = limits.metadata_items;
    const count = Object.keys(metadata).length;
    if (most >= 0 && count > most) {
      throw overQuota(`Maximum number of metadata items exceeds ${most}`, { status: 403 });
    }
    await saveServer(tx, server, { metadata: JSON.stringify(metadata) });
    await recordChange(tx, 'server', id, ctx.requestId);
    return metadata;
  });
}

export function metadataItemNotFound(): Error {
  return notFound('Metadata item was not found');
}

/** Locks a server against everybody but administrators; a locked one that its owner locked can be unlocked by the owner. */
export async function lockServer(app: App, ctx: Context, id: string, reason: string | null): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    await beginAction(tx, ctx, server, 'lock', true);
    const locked_by = ctx.projectId === server.project_id ? 'owner' : 'admin';
    await saveServer(tx, server, {
      locked: 1,
      // an administrator's lock holds over its project's
      locked_by: server.locked_by === 'admin' ? 'admin' : locked_by,
      locked_reason: reason,
    });
  });
}

export async function unlockServer(app: App, ctx: Context, id: string): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    if (server.locked_by === 'admin' && !ctx.isAdmin) {
      ctx.authorize('os_compute_api:os-lock-server:unlock:unlock_override');
    }
    await beginAction(tx, ctx, server, 'unlock', true);
    await saveServer(tx, server, { locked: 0, locked_by: null, locked_reason: null });
  });
}

/** An administrator's word on a server's state: ends the task under way; nothing on its host changes. */
export async function resetState(
  app: App,
  ctx: Context,
  id: string,
  state: 'active' | 'error',
): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    // what builds or deletes a server goes on: without it nobody would
    const kept = server.launched_at === null || server.delete_requested_at !== null;
    if (!kept)
      await app.tasks.supersede(tx, { kind: 'server', id }, 'an administrator reset the server’s state');
    await saveServer(tx, server, {
      failed: state === 'error' ? 1 : 0,
      ...(state === 'active' ? { fault: null } : {}),
      task_state: kept ? server.task_state : null,
    });
  });
}

const MAX_TAGS = 50;

/** Changes a server's tags: `change` gives the new from the old. */
export async function changeTags(
  app: App,
  ctx: Context,
  id: string,
  change: (old: readonly string[]) => readonly string[],
): Promise<readonly string[]> {
  return await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    const old = (await tagsOfServers(tx, [id])).get(id) ?? [];
    const tags = [...new Set(change(old))];
    if (tags.length > MAX_TAGS)
      throw badRequest(`The number of tags exceeded the per-server limit ${MAX_TAGS}`);
    await replaceTags(tx, id, tags);
    await saveServer(tx, server, {});
    return tags;
  });
}
