import { ancestors, descendants, type ProjectRow, projects } from '../../store/identity/projects.js';
import {
  type AssignmentFilter,
  type AssignmentRow,
  listAssignments,
  roles,
} from '../../store/identity/roles.js';
import { groupIdsOf, membersOf } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import { closure, impliedBy } from './effective.js';

/** An assignment, and by what it came about when it is not one that was granted. */
export interface Assignment extends AssignmentRow {
  /** The group by which a user has it. */
  readonly membership?: string;
  /** The role that implies it. */
  readonly priorRoleId?: string;
  /** The role that was granted, at the other end of the implications. */
  readonly grantedRoleId?: string;
  /** Where it is inherited from. */
  readonly inheritedFrom?: { readonly type: 'project' | 'domain'; readonly id: string };
}

/** What an assignment must be about to be listed. */
export interface AssignmentQuery {
  readonly userId?: string;
  readonly groupId?: string;
  readonly roleId?: string;
  readonly projectId?: string;
  readonly domainId?: string;
  readonly system?: boolean;
  /** True: only what projects below inherit; false: only what they do not. */
  readonly inherited?: boolean;
  /** With a project: those on the projects below it as well. */
  readonly subtree?: boolean;
  /** Only those on this domain and on the projects in it. */
  readonly withinDomain?: string;
}

/** The assignments as they were granted. */
export async function grantedAssignments(db: Reader, query: AssignmentQuery): Promise<Assignment[]> {
  const { userId, groupId, roleId, inherited } = query;
  const filter: AssignmentFilter = {
    ...(userId !== undefined && { actor_type: 'user', actor_id: userId }),
    ...(groupId !== undefined && { actor_type: 'group', actor_id: groupId }),
    ...(roleId !== undefined && { role_id: roleId }),
    ...(inherited !== undefined && { inherited: Number(inherited) }),
    ...(await targetFilter(db, query)),
  };
  return await listAssignments(db, filter, query.withinDomain);
}

/**
 * The assignments as they take effect: groups as their users, inherited grants on each project below, and implied roles
 * beside those that imply them. Roles of domains only stand for what they imply. As in Keystone those on the system are
 * among them only when asked for.
 */
export async function effectiveAssignments(db: Reader, query: AssignmentQuery): Promise<Assignment[]> {
  const grants = await grantsOfInterest(db, query);
  const placed = await spread(db, grants, query);
  const actors = await byUsers(db, placed, query.userId);
  const implied = await impliedBy(db);
  const visible = new Set((await roles.list(db, { domain_id: '' })).map((role) => role.id));
  const found: Assignment[] = [];
  for (const row of actors) {
    found.push(row);
    for (const priorRoleId of closure([row.role_id], implied)) {
      for (const roleId of implied.get(priorRoleId) ?? []) {
        found.push({ ...row, role_id: roleId, priorRoleId, grantedRoleId: row.role_id });
      }
    }
  }
  const wanted = found.filter(({ role_id }) => visible.has(role_id) && (query.roleId ?? role_id) === role_id);
  return [...new Map(wanted.map((row) => [JSON.stringify(row), row])).values()];
}

/** The grants that may be behind what is asked for: those to the user and its groups, on the targets and above them. */
async function grantsOfInterest(db: Reader, query: AssignmentQuery): Promise<AssignmentRow[]> {
  const { userId, inherited } = query;
  const groups = userId === undefined ? [] : await groupIdsOf(db, userId);
  const actors: AssignmentFilter[] =
    userId === undefined
      ? [{}]
      : [
          { actor_type: 'user', actor_id: userId },
          { actor_type: 'group', actor_id: groups },
        ];
  const direct: AssignmentFilter[] =
    inherited === true
      ? []
      : [{ target_type: ['project', 'domain'], ...(await targetFilter(db, query)), inherited: 0 }];
  const places: AssignmentFilter[] = [...direct, ...(await inheritedPlaces(db, query))];
  const found: AssignmentRow[] = [];
  for (const actor of actors) {
    for (const place of places) {
      found.push(...(await listAssignments(db, { ...actor, ...place }, query.withinDomain)));
    }
  }
  return found;
}

/** Where grants are that the asked for targets may inherit. Domains and the system inherit nothing. */
async function inheritedPlaces(db: Reader, query: AssignmentQuery): Promise<AssignmentFilter[]> {
  if (query.inherited === false || query.domainId !== undefined || query.system) return [];
  if (query.projectId === undefined) return [{ inherited: 1 }];
  const project = await projects.get(db, query.projectId);
  if (!project) return [];
  const chain = (await ancestors(db, project)).map(({ id }) => id);
  const below = query.subtree ? (await descendants(db, project.id)).map(({ id }) => id) : [];
  const within = query.subtree ? [project.id, ...below] : [];
  return [
    { inherited: 1, target_type: 'project', target_id: [...chain, ...within] },
    { inherited: 1, target_type: 'domain', target_id: project.domain_id || project.id },
  ];
}

/** Inherited grants on each of the projects below their target that are asked for; the others as they are. */
async function spread(
  db: Reader,
  grants: readonly AssignmentRow[],
  query: AssignmentQuery,
): Promise<Assignment[]> {
  if (!grants.some((row) => row.inherited)) return [...grants];
  const wanted = await wantedProjects(db, query);
  const inside = query.withinDomain !== undefined && { domain_id: query.withinDomain };
  const below = childrenOf(await projects.list(db, { is_domain: 0, ...inside }));
  return grants.flatMap((row): Assignment[] => {
    if (!row.inherited) return [row];
    const inheritedFrom = { type: row.target_type as 'project' | 'domain', id: row.target_id };
    const ids = [...closure([row.target_id], below)].filter((id) => id !== row.target_id);
    return ids
      .filter((id) => wanted?.has(id) ?? true)
      .map((id) => ({ ...row, target_type: 'project', target_id: id, inherited: 0, inheritedFrom }));
  });
}

function childrenOf(rows: readonly ProjectRow[]): ReadonlyMap<string, string[]> {
  const children = new Map<string, string[]>();
  for (const { id, parent_id } of rows) {
    if (parent_id === null) continue;
    const siblings = children.get(parent_id);
    if (siblings) siblings.push(id);
    else children.set(parent_id, [id]);
  }
  return children;
}

/** Grants to groups as grants to each of their users. */
async function byUsers(
  db: Reader,
  rows: readonly Assignment[],
  userId: string | undefined,
): Promise<Assignment[]> {
  const groups = rows.filter((row) => row.actor_type === 'group').map((row) => row.actor_id);
  const members = await membersOf(db, [...new Set(groups)]);
  return rows.flatMap((row): Assignment[] => {
    if (row.actor_type === 'user') return [row];
    const ids = (members.get(row.actor_id) ?? []).filter((id) => (userId ?? id) === id);
    return ids.map((id) => ({ ...row, actor_type: 'user', actor_id: id, membership: row.actor_id }));
  });
}

async function targetFilter(db: Reader, query: AssignmentQuery): Promise<AssignmentFilter> {
  if (query.system) return { target_type: 'system' };
  if (query.domainId !== undefined) return { target_type: 'domain', target_id: query.domainId };
  const wanted = await wantedProjects(db, query);
  return wanted ? { target_type: 'project', target_id: [...wanted] } : {};
}

/** Ids of the projects asked for; null when the query names none. */
async function wantedProjects(db: Reader, query: AssignmentQuery): Promise<ReadonlySet<string> | null> {
  if (query.projectId === undefined) return null;
  const below = query.subtree ? await descendants(db, query.projectId) : [];
  return new Set([query.projectId, ...below.map((project) => project.id)]);
}
