import type { NamedRef } from '../../core/context.js';
import { badRequest } from '../../core/errors.js';
import { mustGet } from '../../core/identity/rows.js';
import {
  type Assignment,
  type AssignmentQuery,
  effectiveAssignments,
  grantedAssignments,
} from '../../core/role/assignments.js';
import { projects } from '../../store/identity/projects.js';
import { roles } from '../../store/identity/roles.js';
import { groups, users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, flag, parameter } from './lists.js';
import { confinedDomain, domainReader, listTarget, policy } from './policy.js';

type Ref = NamedRef & { readonly domain?: NamedRef };
type Names = ReadonlyMap<string, Ref>;

/** The list of who has which role where. */
export const assignmentOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v3/role_assignments',
    policy: policy('list_role_assignments', domainReader('target.domain_id')),
    otherPolicy: (request) =>
      flag(request, 'include_subtree') ? 'identity:list_role_assignments_for_tree' : undefined,
    target: assignmentTarget,
    summary: 'list role assignments',
    status: 200,
    async handler(request) {
      const db = request.app.store.read;
      const effective = flag(request, 'effective') ?? false;
      const query = assignmentQuery(request, effective);
      const list = effective ? effectiveAssignments : grantedAssignments;
      const rows = await list(db, query);
      const names = flag(request, 'include_names') ? await namesOf(db, rows) : null;
      return collection(
        request,
        'role_assignments',
        rows.map((row) => assignmentView(request.baseUrl, row, names)),
      );
    },
  },
];

/** Lists are about the domain of the token; those of a tree of projects about the domain of that. */
async function assignmentTarget(request: OpRequest) {
  const projectId = parameter(request, 'scope.project.id');
  if (!flag(request, 'include_subtree')) return listTarget(request);
  if (!projectId) return {};
  const project = await mustGet(projects, request.app.store.read, projectId, 'project');
  return { 'target.project.id': project.id, 'target.domain_id': project.domain_id };
}

function assignmentQuery(request: OpRequest, effective: boolean): AssignmentQuery {
  const given = (name: string) => parameter(request, name) || undefined;
  const [userId, groupId] = [given('user.id'), given('group.id')];
  const [projectId, domainId] = [given('scope.project.id'), given('scope.domain.id')];
  const system = given('scope.system');
  const inheritedTo = parameter(request, 'scope.OS-INHERIT:inherited_to');
  const inherited = inheritedTo === undefined ? undefined : inheritedTo === 'projects';
  const subtree = flag(request, 'include_subtree');
  if (subtree && !projectId) {
    throw badRequest('scope.project.id must be specified if include_subtree is also specified');
  }
  if (domainId && projectId) throw badRequest('Specify a domain or project, not both');
  if (domainId && system) throw badRequest('Specify system or domain, not both');
  if (projectId && system) throw badRequest('Specify system or project, not both');
  if (userId && groupId) throw badRequest('Specify a user or group, not both');
  if (effective && groupId) {
    throw badRequest('Combining effective and group filter will always result in an empty list.');
  }
  if (effective && inherited && domainId) {
    throw badRequest(
      'Combining effective, domain and inherited filters will always result in an empty list.',
    );
  }
  return {
    userId,
    groupId,
    roleId: given('role.id'),
    projectId,
    domainId,
    system: system === 'all',
    inherited,
    subtree,
    withinDomain: confinedDomain(request),
  };
}

function assignmentView(base: string, row: Assignment, names: Names | null) {
  const ref = (kind: string, id: string) =>
    names ? (names.get(`${kind}/${id}`) ?? { id, name: '' }) : { id };
  const scope =
    row.target_type === 'system'
      ? { system: { all: true } }
      : { [row.target_type]: ref(row.target_type, row.target_id) };
  const inherited = row.inherited || row.inheritedFrom;
  return {
    role: ref('role', row.role_id),
    [row.actor_type]: ref(row.actor_type, row.actor_id),
    scope: { ...scope, ...(inherited && { 'OS-INHERIT:inherited_to': 'projects' }) },
    links: linksOf(base, row),
  };
}

/** The URL of the grant behind an assignment, and of what else it came about by. */
function linksOf(base: string, row: Assignment) {
  const target = row.inheritedFrom ?? { type: row.target_type, id: row.target_id };
  const actor = row.membership ? `groups/${row.membership}` : `${row.actor_type}s/${row.actor_id}`;
  const place = target.type === 'system' ? 'system' : `${target.type}s/${target.id}`;
  const role = row.grantedRoleId ?? row.role_id;
  const inherited = row.inherited || row.inheritedFrom;
  return {
    assignment: inherited
      ? `${base}/v3/OS-INHERIT/${place}/${actor}/roles/${role}/inherited_to_projects`
      : `${base}/v3/${place}/${actor}/roles/${role}`,
    ...(row.membership && { membership: `${base}/v3/groups/${row.membership}/users/${row.actor_id}` }),
    ...(row.priorRoleId && { prior_role: `${base}/v3/prior_role/${row.priorRoleId}/implies/${row.role_id}` }),
  };
}

/** What the assignments name, by `kind/id`. */
async function namesOf(db: Reader, rows: readonly Assignment[]): Promise<Names> {
  const ids = (kind: string) => [
    ...new Set([
      ...rows.filter((row) => row.actor_type === kind).map((row) => row.actor_id),
      ...rows.filter((row) => row.target_type === kind).map((row) => row.target_id),
    ]),
  ];
  const named = {
    user: await byIds(users, db, ids('user')),
    group: await byIds(groups, db, ids('group')),
    project: await byIds(projects, db, ids('project')),
    role: await byIds(roles, db, [...new Set(rows.map((row) => row.role_id))]),
  };
  const domainIds = Object.values(named).flatMap((found) => found.map((row) => row.domain_id));
  const domains = await byIds(projects, db, [...new Set([...ids('domain'), ...domainIds])].filter(Boolean));
  const domainRefs = new Map(domains.map(({ id, name }) => [id, { id, name }]));
  const names = new Map<string, Ref>(domains.map(({ id, name }) => [`domain/${id}`, { id, name }]));
  for (const [kind, found] of Object.entries(named)) {
    for (const { id, name, domain_id } of found) {
      const domain = domainRefs.get(domain_id);
      names.set(`${kind}/${id}`, domain ? { id, name, domain } : { id, name });
    }
  }
  return names;
}

/** Statements carry only so many values: more rows than that are found among all. */
async function byIds<R extends { readonly id: string }>(
  rows: { list(db: Reader, filters?: Record<string, readonly string[]>): Promise<R[]> },
  db: Reader,
  ids: readonly string[],
): Promise<R[]> {
  if (ids.length <= 10_000) return await rows.list(db, { id: ids });
  const wanted = new Set(ids);
  return (await rows.list(db)).filter((row) => wanted.has(row.id));
}
