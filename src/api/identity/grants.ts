import { checkGrant, type GrantPlace, grantedRoles, grantRole, revokeRole } from '../../core/role/grants.js';
import { projects } from '../../store/identity/projects.js';
import type { ActorType, TargetType } from '../../store/tables/identity.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection } from './lists.js';
import { ADMIN, domainReader, policy } from './policy.js';
import { roleView } from './views.js';

const READ = domainReader('target.domain_id');

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
  target: TargetType,
  inherited: number,
): Operation[] {
  const system = target === 'system' ? `system_grant_for_${actor}` : null;
  const where = `${actor} on ${target}${inherited ? ', inherited' : ''}`;
  const place = ({ params }: OpRequest): GrantPlace => ({
    actor_type: actor,
    actor_id: params[`${actor}_id`]!,
    target_type: target,
    target_id: target === 'system' ? 'all' : params[`${target}_id`]!,
    inherited,
  });
  const check = (method: 'HEAD' | 'GET'): Operation => ({
    method,
    path,
    policy: policy(system ? `check_${system}` : 'check_grant', READ),
    target: grantTarget,
    summary: `check a role of a ${where}`,
    status: 204,
    handler: (request) => checkGrant(request.app.store.read, place(request), request.params.role_id!),
  });
  return [
    {
      method: 'PUT',
      path,
      policy: policy(system ? `create_${system}` : 'create_grant', ADMIN),
      summary: `grant a role to a ${where}`,
      status: 204,
      handler: (request) => grantRole(request.app, place(request), request.params.role_id!),
    },
    check('HEAD'),
    check('GET'),
    {
      method: 'DELETE',
      path,
      policy: policy(system ? `revoke_${system}` : 'revoke_grant', ADMIN),
      summary: `take a role from a ${where}`,
      status: 204,
      handler: (request) => revokeRole(request.app, place(request), request.params.role_id!),
    },
    {
      method: 'GET',
      path: list,
      policy: policy(target === 'system' ? `list_system_grants_for_${actor}` : 'list_grants', READ),
      target: grantTarget,
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

/** The domain that the grant's target belongs to. */
async function grantTarget({ app, params }: OpRequest) {
  if (params.domain_id) return { 'target.domain_id': params.domain_id };
  const project = params.project_id ? await projects.get(app.store.read, params.project_id) : undefined;
  return { 'target.domain_id': project?.domain_id ?? '' };
}
