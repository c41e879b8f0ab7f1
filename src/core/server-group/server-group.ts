import { randomUUID } from 'node:crypto';
import {
  countGroups,
  deleteGroupRow,
  findServerGroup,
  insertGroup,
  type ServerGroupRow,
} from '../../store/compute/group.js';
import { nowText, type Reader } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { type MaruError, notFound, overQuota } from '../errors.js';
import { COMPUTE_QUOTAS } from '../quota/compute.js';
import { checkQuota } from '../quota/quota.js';

/** Makes a group whose servers are to share a host, or not to. */
export async function createServerGroup(
  app: App,
  ctx: Context,
  input: { readonly name: string; readonly policy: string; readonly rules: Readonly<Record<string, number>> },
): Promise<ServerGroupRow> {
  return await app.store.tx(async (tx) => {
    await checkQuota(tx, app.store, {
      projectId: ctx.projectId,
      service: 'compute',
      resource: 'server_groups',
      used: () => countGroups(tx, ctx.projectId),
      adding: 1,
      fallback: COMPUTE_QUOTAS.server_groups,
      refuse: () => overQuota('Quota exceeded, too many server groups.', { status: 403 }),
    });
    const row: ServerGroupRow = {
      id: randomUUID(),
      project_id: ctx.projectId,
      user_id: ctx.userId,
      name: input.name,
      policy: input.policy,
      rules: JSON.stringify(input.rules),
      created_at: nowText(),
    };
    await insertGroup(tx, row);
    return row;
  });
}

/** A group that the caller may see; 404 for others'. */
export async function visibleServerGroup(db: Reader, ctx: Context, id: string): Promise<ServerGroupRow> {
  const group = await findServerGroup(db, id);
  if (!group || !ctx.reaches(group.project_id)) throw groupNotFound(id);
  return group;
}

export async function deleteServerGroup(app: App, ctx: Context, id: string): Promise<void> {
  await app.store.tx(async (tx) => {
    await visibleServerGroup(tx, ctx, id);
    await deleteGroupRow(tx, id);
  });
}

function groupNotFound(id: string): MaruError {
  return notFound(`Instance group ${id} could not be found.`);
}
