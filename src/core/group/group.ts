import { projects } from '../../store/identity/projects.js';
import { removeAssignments } from '../../store/identity/roles.js';
import {
  addMember,
  type GroupRow,
  groups,
  removeMember,
  removeMemberships,
  users,
} from '../../store/identity/users.js';
import type { Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest } from '../errors.js';
import { extraOf, missing, mustGet, newId, storing } from '../identity/rows.js';
import { ownDomain } from '../project/project.js';

const KNOWN = ['id', 'name', 'domain_id', 'description'];

/** What clients may set on a group. */
export interface GroupBody {
  readonly name?: string;
  readonly domain_id?: string;
  readonly description?: string | null;
}

export async function createGroup(app: App, ctx: Context, body: GroupBody): Promise<GroupRow> {
  return await storing(app, 'group', async (tx) => {
    const domainId = body.domain_id ?? ownDomain(ctx);
    const domain = await projects.get(tx, domainId);
    if (!domain?.is_domain) throw missing('domain', domainId);
    const row: GroupRow = {
      id: newId(),
      name: body.name!.trim(),
      domain_id: domainId,
      description: body.description ?? '',
      extra: extraOf({ ...body }, KNOWN),
    };
    await groups.insert(tx, row);
    return row;
  });
}

export async function updateGroup(app: App, id: string, body: GroupBody): Promise<GroupRow> {
  return await storing(app, 'group', async (tx) => {
    const row = await mustGet(groups, tx, id, 'group');
    if (body.domain_id !== undefined && body.domain_id !== row.domain_id) {
      throw badRequest('A group cannot move to another domain.');
    }
    const changed: GroupRow = {
      ...row,
      name: body.name?.trim() ?? row.name,
      description: body.description === undefined ? row.description : (body.description ?? ''),
      extra: extraOf({ ...body }, KNOWN, row.extra),
    };
    await groups.update(tx, id, changed);
    return changed;
  });
}

export async function deleteGroup(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(groups, tx, id, 'group');
    await removeGroupRow(tx, id);
  });
}

/** Removes a group with its grants and memberships, in a transaction of the caller. */
async function removeGroupRow(tx: Tx, id: string): Promise<void> {
  await removeAssignments(tx, { actor_type: 'group', actor_id: id });
  await removeMemberships(tx, { group_id: id });
  await groups.remove(tx, id);
}

export async function addUserToGroup(app: App, groupId: string, userId: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(groups, tx, groupId, 'group');
    await mustGet(users, tx, userId, 'user');
    await addMember(tx, groupId, userId);
  });
}

/** Takes a user out of a group: the group's grants no longer count from the next request on. */
export async function removeUserFromGroup(app: App, groupId: string, userId: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(groups, tx, groupId, 'group');
    if (!(await removeMember(tx, groupId, userId))) throw missing(`user in group ${groupId}`, userId);
  });
}
