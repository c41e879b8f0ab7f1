import { mustGet } from '../../core/identity/rows.js';
import {
  addInference,
  createRole,
  deleteRole,
  existingInference,
  type Inference,
  inferences,
  type RoleBody,
  removeInference,
  updateRole,
} from '../../core/role/role.js';
import { type RoleRow, roles } from '../../store/identity/roles.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, inexactFilters, parameter } from './lists.js';
import { ADMIN, ADMIN_OR_READER, ANY_ADMIN, bodyText, policy } from './policy.js';
import { refuseOtherId } from './same-id.js';
import { enveloped, ID_OR_NULL, NAME, OPTIONS, TEXT_OR_NULL } from './schemas.js';
import { roleView } from './views.js';

const PROPERTIES = {
  name: NAME,
  domain_id: ID_OR_NULL,
  description: TEXT_OR_NULL,
  options: OPTIONS,
};
/** Managers of a domain look up the roles that they may grant. */
const GET = `${ANY_ADMIN} or rule:system_reader or (role:manager and rule:domain_managed_target_role)`;
const LIST = `${ANY_ADMIN} or rule:system_reader or (role:manager and not domain_id:None)`;
const RULE = '/v3/roles/:prior_role_id/implies/:implied_role_id';

type Body = { role: RoleBody };

/** Roles and which role implies which. */
export const roleOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/roles',
    policy: policy('create_role', ADMIN),
    otherPolicy: (request) =>
      bodyText(request, 'role', 'domain_id') ? 'identity:create_domain_role' : undefined,
    summary: 'create a role',
    body: enveloped('role', PROPERTIES, ['name']),
    status: 201,
    async handler({ app, body, baseUrl }: OpRequest<Body>) {
      return { role: roleView(baseUrl, await createRole(app, body.role)) };
    },
  },
  {
    method: 'GET',
    path: '/v3/roles',
    policy: policy('list_roles', LIST),
    otherPolicy: (request) => (parameter(request, 'domain_id') ? 'identity:list_domain_roles' : undefined),
    summary: 'list roles',
    status: 200,
    async handler(request) {
      const name = parameter(request, 'name');
      const rows = await roles.list(
        request.app.store.read,
        { domain_id: parameter(request, 'domain_id') ?? '', ...(name !== undefined && { name }) },
        { inexact: inexactFilters(request, ['name']) },
      );
      return collection(
        request,
        'roles',
        rows.map((row) => roleView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/roles/:role_id',
    policy: policy('get_role', GET),
    target: roleTarget,
    otherPolicy: domainRole('get'),
    summary: 'show a role',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return { role: roleView(baseUrl, await mustGet(roles, app.store.read, params.role_id!, 'role')) };
    },
  },
  {
    method: 'PATCH',
    path: '/v3/roles/:role_id',
    policy: policy('update_role', ADMIN),
    target: roleTarget,
    otherPolicy: domainRole('update'),
    summary: 'change a role',
    body: enveloped('role', PROPERTIES),
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<Body>) {
      refuseOtherId(body.role, params.role_id!);
      return { role: roleView(baseUrl, await updateRole(app, params.role_id!, body.role)) };
    },
  },
  {
    method: 'DELETE',
    path: '/v3/roles/:role_id',
    policy: policy('delete_role', ADMIN),
    target: roleTarget,
    otherPolicy: domainRole('delete'),
    summary: 'delete a role with its grants',
    status: 204,
    handler: ({ app, params }) => deleteRole(app, params.role_id!),
  },
  {
    method: 'GET',
    path: '/v3/roles/:prior_role_id/implies',
    policy: policy('list_implied_roles', ADMIN_OR_READER),
    target: inferenceTarget,
    summary: 'list what a role implies',
    status: 200,
    async handler({ app, params, baseUrl }) {
      const prior = await mustGet(roles, app.store.read, params.prior_role_id!, 'role');
      const all = await inferences(app.store.read);
      const implied = [...all].find(([role]) => role.id === prior.id)?.[1] ?? [];
      return {
        role_inference: inferencesView(baseUrl, prior, implied),
        links: { self: `${baseUrl}/v3/roles/${prior.id}/implies` },
      };
    },
  },
  {
    method: 'PUT',
    path: RULE,
    policy: policy('create_implied_role', ADMIN),
    target: inferenceTarget,
    summary: 'make a role imply another',
    status: 201,
    async handler({ app, params, baseUrl }) {
      const pair = await addInference(app, params.prior_role_id!, params.implied_role_id!);
      return inferenceView(baseUrl, pair);
    },
  },
  {
    method: 'GET',
    path: RULE,
    policy: policy('get_implied_role', ADMIN_OR_READER),
    target: inferenceTarget,
    summary: 'show that a role implies another',
    status: 200,
    async handler({ app, params, baseUrl }) {
      const { prior_role_id, implied_role_id } = params;
      return inferenceView(
        baseUrl,
        await existingInference(app.store.read, prior_role_id!, implied_role_id!),
      );
    },
  },
  {
    method: 'HEAD',
    path: RULE,
    policy: policy('check_implied_role', ADMIN_OR_READER),
    target: inferenceTarget,
    summary: 'check that a role implies another',
    status: 204,
    async handler({ app, params }) {
      await existingInference(app.store.read, params.prior_role_id!, params.implied_role_id!);
    },
  },
  {
    method: 'DELETE',
    path: RULE,
    policy: policy('delete_implied_role', ADMIN),
    target: inferenceTarget,
    summary: 'make a role no longer imply another',
    status: 204,
    handler: ({ app, params }) => removeInference(app, params.prior_role_id!, params.implied_role_id!),
  },
  {
    method: 'GET',
    path: '/v3/role_inferences',
    policy: policy('list_role_inference_rules', ADMIN_OR_READER),
    summary: 'list all that roles imply',
    status: 200,
    async handler({ app, baseUrl }) {
      const all = await inferences(app.store.read);
      return {
        role_inferences: [...all].map(([prior, implied]) => inferencesView(baseUrl, prior, implied)),
        links: { self: `${baseUrl}/v3/role_inferences` },
      };
    },
  },
];

/** 404 comes before the check, as in Keystone. */
async function roleTarget({ app, params }: OpRequest) {
  const role = await mustGet(roles, app.store.read, params.role_id!, 'role');
  return { 'target.role.name': role.name, 'target.role.domain_id': role.domain_id || null };
}

/** Roles of a domain have policies of their own. */
function domainRole(verb: string) {
  return async ({ app, params }: OpRequest) => {
    const role = await roles.get(app.store.read, params.role_id!);
    return role?.domain_id ? `identity:${verb}_domain_role` : undefined;
  };
}

/** 404 comes before the check, as in Keystone. */
async function inferenceTarget({ app, params }: OpRequest) {
  await mustGet(roles, app.store.read, params.prior_role_id!, 'role');
  if (params.implied_role_id) await mustGet(roles, app.store.read, params.implied_role_id, 'role');
  return {};
}

function inferenceView(base: string, { prior, implied }: Inference) {
  return {
    role_inference: { prior_role: shortView(base, prior), implies: shortView(base, implied) },
    links: { self: `${base}/v3/roles/${prior.id}/implies/${implied.id}` },
  };
}

function inferencesView(base: string, prior: RoleRow, implied: readonly RoleRow[]) {
  return { prior_role: shortView(base, prior), implies: implied.map((role) => shortView(base, role)) };
}

function shortView(base: string, role: RoleRow) {
  return { id: role.id, name: role.name, links: { self: `${base}/v3/roles/${role.id}` } };
}
