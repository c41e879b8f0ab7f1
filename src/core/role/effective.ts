import { ancestors, descendants, type ProjectRow } from '../../store/identity/projects.js';
import {
  type GrantPlace,
  grantedRoleIds,
  implications,
  listAssignments,
  type RoleRow,
  roles,
} from '../../store/identity/roles.js';
import { groupIdsOf } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { NamedRef } from '../context.js';

/** What roles are looked up on. */
export type RoleTarget =
  | { readonly kind: 'project'; readonly project: ProjectRow }
  | { readonly kind: 'domain'; readonly id: string }
  | { readonly kind: 'system' };

/** Every role by its id, and the ids of those that each implies. */
export interface RoleTable {
  readonly roles: ReadonlyMap<string, RoleRow>;
  readonly implied: ReadonlyMap<string, readonly string[]>;
}

/** What is the same for all users of a target; a cache may know it. */
export interface RoleLookups {
  above(project: ProjectRow): Promise<readonly ProjectRow[]>;
  roleTable(): Promise<RoleTable>;
}

const NO_ROLES: RoleTable = { roles: new Map(), implied: new Map() };

/**
 * The roles that a user has on a target: granted directly, to a group, or inherited from above, and those which they imply.
 * Roles of a domain never appear themselves: they only stand for what they imply.
 */
export async function effectiveRoles(
  db: Reader,
  userId: string,
  target: RoleTarget,
  known: RoleLookups = roleLookups(db),
): Promise<NamedRef[]> {
  const granted = await grantedRoleIds(db, userId, await placesOf(known, target));
  return expanded(granted, granted.length === 0 ? NO_ROLES : await known.roleTable());
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
  return expanded(roleIds, await readRoleTable(db));
}

function expanded(roleIds: readonly string[], table: RoleTable): NamedRef[] {
  return [...closure(roleIds, table.implied)]
    .flatMap((id) => table.roles.get(id) ?? [])
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

/** The places where a grant gives a role on the target. */
async function placesOf(known: RoleLookups, target: RoleTarget): Promise<GrantPlace[]> {
  if (target.kind === 'system') return [{ target_type: 'system', target_id: 'all', inherited: 0 }];
  if (target.kind === 'domain') return [{ target_type: 'domain', target_id: target.id, inherited: 0 }];
  const { project } = target;
  const above = await known.above(project);
  return [
    { target_type: 'project', target_id: project.id, inherited: 0 },
    ...above.map(({ id }) => ({ target_type: 'project', target_id: id, inherited: 1 }) as const),
    { target_type: 'domain', target_id: project.domain_id || project.id, inherited: 1 },
  ];
}

/** Looks things up in the database each time. */
export function roleLookups(db: Reader): RoleLookups {
  return {
    above: (project) => ancestors(db, project),
    roleTable: () => readRoleTable(db),
  };
}

/** All roles, and what they imply. There are few. */
export async function readRoleTable(db: Reader): Promise<RoleTable> {
  const rows = await roles.list(db);
  return { roles: new Map(rows.map((row) => [row.id, row])), implied: await impliedBy(db) };
}
