import { ancestors, descendants, type ProjectRow } from '../../store/identity/projects.js';
import { type AssignmentRow, implications, listAssignments, roles } from '../../store/identity/roles.js';
import { groupIdsOf } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { NamedRef } from '../context.js';

/** What roles are looked up on. */
export type RoleTarget =
  | { readonly kind: 'project'; readonly project: ProjectRow }
  | { readonly kind: 'domain'; readonly id: string }
  | { readonly kind: 'system' };

/**
 * The roles that a user has on a target: granted directly, to a group, or inherited from above, and those which they imply.
 * Roles of a domain never appear themselves: they only stand for what they imply.
 */
export async function effectiveRoles(db: Reader, userId: string, target: RoleTarget): Promise<NamedRef[]> {
  const granted = await grantsOn(db, userId, target);
  return await expandRoles(
    db,
    granted.map((row) => row.role_id),
  );
}

/** Ids of the projects on which the user has a role: directly, by a group, or inherited. Disabled ones count as well. */
export async function projectsWithRole(db: Reader, userId: string): Promise<ReadonlySet<string>> {
  const own = await listAssignments(db, { actor_type: 'user', actor_id: userId });
  const groups = await groupIdsOf(db, userId);
  const grants = [...own, ...(await listAssignments(db, { actor_type: 'group', actor_id: groups }))];
  const direct = grants.filter((grant) => !grant.inherited && grant.target_type === 'project');
  const above = new Set(grants.filter((grant) => grant.inherited).map((grant) => grant.target_id));
  const below = await descendants(db, [...above]);
  return new Set([...direct.map((grant) => grant.target_id), ...below.map(({ id }) => id)]);
}

/** The given roles and all that they imply, as tokens show them, sorted by name. */
export async function expandRoles(db: Reader, roleIds: readonly string[]): Promise<NamedRef[]> {
  if (roleIds.length === 0) return [];
  const ids = closure(roleIds, await impliedBy(db));
  const rows = await roles.list(db, { id: [...ids] });
  return rows
    .filter((role) => role.domain_id === '')
    .map(({ id, name }) => ({ id, name }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Implied role ids of each prior role. */
export async function impliedBy(db: Reader): Promise<ReadonlyMap<string, readonly string[]>> {
  const implied = new Map<string, string[]>();
  for (const row of await implications(db)) {
    implied.set(row.prior_role_id, [...(implied.get(row.prior_role_id) ?? []), row.implied_role_id]);
  }
  return implied;
}

/** Everything reachable from the given ids. */
export function closure(
  from: readonly string[],
  edges: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const reached = new Set(from);
  for (const id of reached) for (const next of edges.get(id) ?? []) reached.add(next);
  return reached;
}

/** The assignments by which a user may act on a target. */
async function grantsOn(db: Reader, userId: string, target: RoleTarget): Promise<AssignmentRow[]> {
  const groupIds = await groupIdsOf(db, userId);
  const actors = [
    { actor_type: 'user', actor_id: [userId] },
    { actor_type: 'group', actor_id: groupIds },
  ] as const;
  const places = await placesOf(db, target);
  const found = await Promise.all(
    actors.flatMap((actor) => places.map((place) => listAssignments(db, { ...actor, ...place }))),
  );
  return found.flat();
}

async function placesOf(db: Reader, target: RoleTarget) {
  if (target.kind === 'system') {
    return [{ target_type: 'system', target_id: ['all'], inherited: 0 }] as const;
  }
  if (target.kind === 'domain') {
    return [{ target_type: 'domain', target_id: [target.id], inherited: 0 }] as const;
  }
  const { project } = target;
  const above = await ancestors(db, project);
  return [
    { target_type: 'project', target_id: [project.id], inherited: 0 },
    { target_type: 'project', target_id: above.map((p) => p.id), inherited: 1 },
    { target_type: 'domain', target_id: [project.domain_id || project.id], inherited: 1 },
  ] as const;
}
