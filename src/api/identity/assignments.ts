import type { NamedRef } from '../../core/context.js';
import { badRequest } from '../../core/errors.js';
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
import { ADMIN_OR_READER, policy } from './policy.js';

type Ref = NamedRef & { readonly domain?: NamedRef };
type Names = ReadonlyMap<string, Ref>;

/** The list of who has which role where. */
export const assignmentOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v3/role_assignments',
    policy: policy(
      'list_role_assignments',
      `${ADMIN_OR_READER} or (role:reader and domain_id:%(target.domain_id)s) or (role:manager and project_id:%(target.project_id)s)`,
    ),
    target: assignmentTarget,
    summary: 'list role assignments',
    status: 200,
    async handler(request) {
      const db = request.app.store.read;
      const effective = flag(request, 'effective') ?? false;
      const query = assignmentQuery(request);
      if (effective && query.groupId !== undefined) {
        throw badRequest('Combining effective and group filter will always result in an empty list.');
      }
      if (effective && query.inherited) {
        throw badRequest('Combining effective and inherited filter is not allowed.');
      }
      const rows = await confined(
        request,
        await (effective ? effectiveAssignments : grantedAssignments)(db, query),
      );
      const names = flag(request, 'include_names') ? await namesOf(db) : null;
      return collection(
        request,
        'role_assignments',
        rows.map((row) => assignmentView(request.baseUrl, row, names)),
      );
    },
  },
];

function assignmentTarget(request: OpRequest) {
  const projectId = parameter(request, 'scope.project.id');
  return {
    'target.domain_id': parameter(request, 'scope.domain.id') ?? request.ctx.token.domain?.id ?? '',
    ...(projectId !== undefined && { 'target.project_id': projectId }),
  };
}

function assignmentQuery(request: OpRequest): AssignmentQuery {
  const inheritedTo = parameter(request, 'scope.OS-INHERIT:inherited_to');
  const projectId = parameter(request, 'scope.project.id');
  const domainId = parameter(request, 'scope.domain.id');
  const [userId, groupId] = [parameter(request, 'user.id'), parameter(request, 'group.id')];
  if (projectId !== undefined && domainId !== undefined) {
    throw badRequest('Specify a domain or a project, not both.');
  }
  if (userId !== undefined && groupId !== undefined) {
    throw badRequest('Specify a user or a group, not both.');
  }
  const subtree = flag(request, 'include_subtree');
  if (subtree && projectId === undefined) {
    throw badRequest('scope.project.id must be specified if include_subtree is also specified.');
  }
  return {
    userId,
    groupId,
    roleId: parameter(request, 'role.id'),
    projectId,
    domainId,
    system: parameter(request, 'scope.system') !== undefined,
    inherited: inheritedTo === 'projects' ? true : undefined,
    subtree,
  };
}

/** A reader of one domain sees the assignments on it and on its projects. */
async function confined(request: OpRequest, rows: readonly Assignment[]): Promise<readonly Assignment[]> {
  const { ctx, app } = request;
  const own = ctx.isAdmin || ctx.token.system ? undefined : ctx.token.domain?.id;
  if (own === undefined) return rows;
  const inside = new Set((await projects.list(app.store.read, { domain_id: own })).map((p) => p.id));
  return rows.filter((row) => row.target_id === own || inside.has(row.target_id));
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
  const role = row.priorRoleId ?? row.role_id;
  const inherited = row.inherited || row.inheritedFrom;
  return {
    assignment: inherited
      ? `${base}/v3/OS-INHERIT/${place}/${actor}/roles/${role}/inherited_to_projects`
      : `${base}/v3/${place}/${actor}/roles/${role}`,
    ...(row.membership && { membership: `${base}/v3/groups/${row.membership}/users/${row.actor_id}` }),
    ...(row.priorRoleId && { prior_role: `${base}/v3/prior_role/${row.priorRoleId}/implies/${row.role_id}` }),
  };
}

/** Everything that assignments may name, by `kind/id`. */
async function namesOf(db: Reader): Promise<Names> {
  const projectRows = await projects.list(db);
  const domains = new Map(
    projectRows.filter((row) => row.is_domain).map(({ id, name }) => [id, { id, name }]),
  );
  const owned = ({ id, name, domain_id }: { id: string; name: string; domain_id: string }): Ref => {
    const domain = domains.get(domain_id);
    return domain ? { id, name, domain } : { id, name };
  };
  const entries: [string, Ref][] = [];
  for (const row of projectRows)
    entries.push([`${row.is_domain ? 'domain' : 'project'}/${row.id}`, owned(row)]);
  for (const row of await users.list(db)) entries.push([`user/${row.id}`, owned(row)]);
  for (const row of await groups.list(db)) entries.push([`group/${row.id}`, owned(row)]);
  for (const row of await roles.list(db)) entries.push([`role/${row.id}`, owned(row)]);
  return new Map(entries);
}
