import { missing, mustGet } from '../../core/identity/rows.js';
import { checkGrant, type GrantPlace, grantedRoles, grantRole, revokeRole } from '../../core/role/grants.js';
import { projects } from '../../store/identity/projects.js';
import { roles } from '../../store/identity/roles.js';
import { groups, users } from '../../store/identity/users.js';
import type { ActorType, TargetType } from '../../store/tables/identity.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection } from './lists.js';
import { ADMIN, ADMIN_OR_READER, ANY_ADMIN, policy } from './policy.js';
import { roleView } from './views.js';

/** Somebody with the role on the domain to which both the user or group and the project or domain belong. */
const within = (role: string) =>
  `(role:${role} and (domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s) and (domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s))`;
const OWN_ROLE = '(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)';
const LIST = `${ANY_ADMIN} or rule:system_reader or ${within('reader')}`;
const CHECK = `${ANY_ADMIN} or ((rule:system_reader or ${within('reader')}) and ${OWN_ROLE})`;
const CHANGE = `${ANY_ADMIN} or (${within('manager')} and rule:domain_managed_target_role)`;

/** Paths on which grants are managed, with what they are about. `*` stands for users and groups. */
const PLACES: readonly { path: string; list: string; target: TargetType; inherited: number }[] = [
  {
    path: '/v3/projects/:project_id/*/roles/:role_id',
    list: '/v3/projects/:project_id/*/roles',
    target: 'project',
    inherited: 0,
  },
  {
    path: '/v3/domains/:domain_id/*/roles/:role_id',
    list: '/v3/domains/:domain_id/*/roles',
    target: 'domain',
    inherited: 0,
  },
  {
    path: '/v3/system/*/roles/:role_id',
    list: '/v3/system/*/roles',
    target: 'system',
    inherited: 0,
  },
  {
    path: '/v3/OS-INHERIT/projects/:project_id/*/roles/:role_id/inherited_to_projects',
    list: '/v3/OS-INHERIT/projects/:project_id/*/roles/inherited_to_projects',
    target: 'project',
    inherited: 1,
  },
  {
    path: '/v3/OS-INHERIT/domains/:domain_id/*/roles/:role_id/inherited_to_projects',
    list: '/v3/OS-INHERIT/domains/:domain_id/*/roles/inherited_to_projects',
    target: 'domain',
    inherited: 1,
  },
];

/** Grants of roles to users and groups on projects, domains and the system, inherited or not. */
export const grantOperations: readonly Operation[] = PLACES.flatMap(({ path, list, target, inherited }) =>
  (['user', 'group'] as const).flatMap((actor) =>
    operationsOn(
      path.replace('*', `${actor}s/:${actor}_id`),
      list.replace('*', `${actor}s/:${actor}_id`),
      actor,
      target,
      inherited,
    ),
  ),
);

function operationsOn(
  path: string,
  list: string,
  actor: ActorType,
  on: TargetType,
  inherited: number,
): Operation[] {
  const system = on === 'system' ? `system_grant_for_${actor}` : null;
  const where = `${actor} on ${on}${inherited ? ', inherited' : ''}`;
  const place = ({ params }: OpRequest): GrantPlace => ({
    actor_type: actor,
    actor_id: params[`${actor}_id`]!,
    target_type: on,
    target_id: on === 'system' ? 'all' : params[`${on}_id`]!,
    inherited,
  });
  const target = (request: OpRequest) => grantTarget(request);
  const check = (method: 'HEAD' | 'GET'): Operation => ({
    method,
    path,
    policy: policy(system ? `check_${system}` : 'check_grant', system ? ADMIN_OR_READER : CHECK),
    target,
    summary: `check a role of a ${where}`,
    status: 204,
    handler: (request) => checkGrant(request.app.store.read, place(request), request.params.role_id!),
  });
  return [
    {
      method: 'PUT',
      path,
      policy: policy(system ? `create_${system}` : 'create_grant', system ? ADMIN : CHANGE),
      target,
      summary: `grant a role to a ${where}`,
      status: 204,
      handler: (request) => grantRole(request.app, place(request), request.params.role_id!),
    },
    check('HEAD'),
    check('GET'),
    {
      method: 'DELETE',
      path,
      policy: policy(system ? `revoke_${system}` : 'revoke_grant', system ? ADMIN : CHANGE),
      target: (request) => grantTarget(request, true),
      summary: `take a role from a ${where}`,
      status: 204,
      handler: (request) => revokeRole(request.app, place(request), request.params.role_id!),
    },
    {
      method: 'GET',
      path: list,
      policy: policy(
        system ? `list_system_grants_for_${actor}` : 'list_grants',
        system ? ADMIN_OR_READER : LIST,
      ),
      target,
      summary: `list the roles of a ${where}`,
      status: 200,
      async handler(request) {
        const rows = await grantedRoles(request.app.store.read, place(request));
        return collection(
          request,
          'roles',
          rows.map((row) => roleView(request.baseUrl, row)),
        );
      },
    },
  ];
}

/**
 * What the rules see of a grant. As in Keystone 404 comes before the check; what is left of grants to a user or group that
 * is gone can still be taken away.
 */
async function grantTarget({ app, params }: OpRequest, actorMayBeGone = false) {
  const db = app.store.read;
  const target: Record<string, unknown> = {};
  if (params.role_id) {
    const role = await mustGet(roles, db, params.role_id, 'role');
    target['target.role.name'] = role.name;
    target['target.role.domain_id'] = role.domain_id || null;
  }
  for (const [kind, rows] of [
    ['user', users],
    ['group', groups],
  ] as const) {
    const id = params[`${kind}_id`];
    if (id === undefined) continue;
    const row = await rows.get(db, id);
    if (!row && !actorMayBeGone) throw missing(kind, id);
    target[`target.${kind}.domain_id`] = row?.domain_id ?? '';
  }
  if (params.domain_id) {
    const domain = await mustGet(projects, db, params.domain_id, 'domain');
    if (!domain.is_domain) throw missing('domain', params.domain_id);
    target['target.domain.id'] = domain.id;
  }
  if (params.project_id) {
    target['target.project.domain_id'] = (
      await mustGet(projects, db, params.project_id, 'project')
    ).domain_id;
  }
  return target;
}
