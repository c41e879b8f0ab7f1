import { descendants, projects } from '../../store/identity/projects.js';
import { type AssignmentRow, listAssignments, roles } from '../../store/identity/roles.js';
import { memberIdsOf } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import { closure, impliedBy } from './effective.js';

/** An assignment, and by what it came about when it is not one that was granted. */
export interface Assignment extends AssignmentRow {
  /** The group by which a user has it. */
  readonly membership?: string;
  /** The role that implies it. */
  readonly priorRoleId?: string;
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
  readonly inherited?: boolean;
  /** With a project: those on the projects below it as well. */
  readonly subtree?: boolean;
}

/** The assignments as they were granted. */
export async function grantedAssignments(db: Reader, query: AssignmentQuery): Promise<Assignment[]> {
  const targets = await targetsOf(db, query);
  return (await listAssignments(db)).filter(
    (row) =>
      matches(query, row, targets) &&
      (query.userId === undefined || (row.actor_type === 'user' && row.actor_id === query.userId)) &&
      (query.groupId === undefined || (row.actor_type === 'group' && row.actor_id === query.groupId)) &&
      (query.inherited === undefined || row.inherited === Number(query.inherited)),
  );
}

/**
 * The assignments as they take effect: groups as their users, inherited grants on each project below, and implied roles
 * beside those that imply them.
 */
export async function effectiveAssignments(db: Reader, query: AssignmentQuery): Promise<Assignment[]> {
  const targets = await targetsOf(db, query);
  const implied = await impliedBy(db);
  const visible = new Set((await roles.list(db, { domain_id: '' })).map((role) => role.id));
  const found: Assignment[] = [];
  for (const row of await listAssignments(db)) {
    for (const placed of await spread(db, row)) {
      for (const actor of await actorsOf(db, placed)) {
        if (query.userId !== undefined && actor.actor_id !== query.userId) continue;
        for (const roleId of closure([row.role_id], implied)) {
          if (!visible.has(roleId)) continue;
          const prior = roleId === row.role_id ? {} : { priorRoleId: row.role_id };
          const assignment = { ...actor, ...prior, role_id: roleId };
          if (matches(query, assignment, targets)) found.push(assignment);
        }
      }
    }
  }
  return withoutRepeats(found);
}

/** An inherited grant on each project below its target; any other as it is. */
async function spread(db: Reader, row: AssignmentRow): Promise<Assignment[]> {
  if (!row.inherited) return [row];
  const below =
    row.target_type === 'domain'
      ? await projects.list(db, { domain_id: row.target_id })
      : await descendants(db, row.target_id);
  const inheritedFrom = { type: row.target_type as 'project' | 'domain', id: row.target_id };
  return below.map((project) => ({
    ...row,
    target_type: 'project',
    target_id: project.id,
    inherited: 0,
    inheritedFrom,
  }));
}

async function actorsOf(db: Reader, row: Assignment): Promise<Assignment[]> {
  if (row.actor_type === 'user') return [row];
  const members = await memberIdsOf(db, row.actor_id);
  return members.map((id) => ({ ...row, actor_type: 'user', actor_id: id, membership: row.actor_id }));
}

/** Ids of the targets asked for; null when the query names none. */
async function targetsOf(db: Reader, query: AssignmentQuery): Promise<ReadonlySet<string> | null> {
  if (query.projectId === undefined) return query.domainId === undefined ? null : new Set([query.domainId]);
  const below = query.subtree ? await descendants(db, query.projectId) : [];
  return new Set([query.projectId, ...below.map((project) => project.id)]);
}

function matches(query: AssignmentQuery, row: AssignmentRow, targets: ReadonlySet<string> | null): boolean {
  if (query.roleId !== undefined && row.role_id !== query.roleId) return false;
  if (query.system && row.target_type !== 'system') return false;
  if (query.projectId !== undefined && row.target_type !== 'project') return false;
  if (query.domainId !== undefined && row.target_type !== 'domain') return false;
  return targets === null || targets.has(row.target_id);
}

function withoutRepeats(found: readonly Assignment[]): Assignment[] {
  return [...new Map(found.map((row) => [JSON.stringify(row), row])).values()];
}
