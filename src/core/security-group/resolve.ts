import { groupsOfProject } from '../../store/network/security-group.js';
import type { Tx } from '../../store/store.js';
import { badRequest, conflict } from '../errors.js';
import { ensureDefaultGroup } from './default-group.js';

/** Ids of a project's groups given by name or id, in Nova's words when one does not exist or a name is ambiguous. */
export async function resolveGroups(
  tx: Tx,
  projectId: string,
  namesOrIds: readonly string[],
): Promise<string[]> {
  const fallback = await ensureDefaultGroup(tx, projectId);
  const groups = await groupsOfProject(tx, projectId);
  const ids = namesOrIds.map((wanted) => {
    if (wanted === 'default') return fallback.id;
    const byId = groups.find((group) => group.id === wanted);
    if (byId) return byId.id;
    const named = groups.filter((group) => group.name === wanted);
    if (named.length > 1) {
      throw conflict(`Multiple security groups found matching '${wanted}'. Use an ID to be more specific.`);
    }
    if (!named[0]) throw badRequest(`Security group ${wanted} not found for project ${projectId}.`);
    return named[0].id;
  });
  return [...new Set(ids)];
}
