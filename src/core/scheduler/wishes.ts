import { findServerGroup } from '../../store/compute/group.js';
import { computeHosts } from '../../store/compute/hosts.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest } from '../errors.js';
import { DEFAULT_ZONE } from './candidate.js';

/** Refuses a zone or host that does not exist: such a server could never be placed. */
export async function checkZone(db: Reader, zone: string | null, host: string | null): Promise<void> {
  if (zone === null && host === null) return;
  const hosts = await computeHosts(db);
  if (host !== null && !hosts.some(({ name }) => name === host)) {
    throw badRequest(`Compute host ${host} could not be found.`);
  }
  if (zone === null || zone === DEFAULT_ZONE || hosts.some(({ zones }) => zones.has(zone))) return;
  throw badRequest('The requested availability zone is not available');
}

/**
 * Refuses a server group that the caller does not have. Servers of one group are placed one after another: the group is
 * locked until the transaction ends.
 */
export async function checkGroup(tx: Tx, app: App, ctx: Context, groupId: string): Promise<void> {
  await app.store.lockFamily(tx, groupId, 'server-group');
  const group = await findServerGroup(tx, groupId);
  if (!group || (group.project_id !== ctx.projectId && !ctx.isAdmin)) {
    throw badRequest(`Instance group ${groupId} could not be found.`);
  }
}
