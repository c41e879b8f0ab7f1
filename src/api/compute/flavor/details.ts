import { badRequest } from '../../../core/errors.js';
import { addFlavorAccess, listFlavorAccess, removeFlavorAccess } from '../../../core/flavor/access.js';
import {
  deleteExtraSpec,
  noSuchSpec,
  readExtraSpecs,
  setExtraSpecs,
} from '../../../core/flavor/extra-specs.js';
import type { Operation, OpRequest, Schema } from '../../shared/operation.js';
import { validate } from '../../shared/validate.js';
import { ADMIN, policy, READER } from '../policy.js';
import { envelope, object } from '../schemas.js';

const SPECS: Schema = {
  type: 'object',
  patternProperties: { '^[a-zA-Z0-9-_:. ]{1,255}$': { type: ['string', 'number'], maxLength: 255 } },
  additionalProperties: false,
};
const TENANT = object({ tenant: { type: 'string', minLength: 1, maxLength: 255 } }, ['tenant']);

/** Which of the two an action is says its body. */
export const REMOVE_ACCESS = policy('os-flavor-access:remove_tenant_access', ADMIN);

/** Extra specs of flavors, and which projects may use private ones. */
export const flavorDetailOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/flavors/:flavor_id/os-extra_specs',
    policy: policy('os-flavor-extra-specs:index', READER),
    summary: "List a flavor's extra specs",
    status: 200,
    handler: async ({ app, ctx, params }) => ({
      extra_specs: await readExtraSpecs(app, ctx, params.flavor_id!),
    }),
  },
  {
    method: 'GET',
    path: '/v2.1/flavors/:flavor_id/os-extra_specs/:key',
    policy: policy('os-flavor-extra-specs:show', READER),
    summary: 'Show an extra spec',
    status: 200,
    handler: async ({ app, ctx, params }) => {
      const specs = await readExtraSpecs(app, ctx, params.flavor_id!);
      const value = Object.hasOwn(specs, params.key!) ? specs[params.key!] : undefined;
      if (value === undefined) throw noSuchSpec(params.flavor_id!, params.key!);
      return { [params.key!]: value };
    },
  },
  {
    method: 'POST',
    path: '/v2.1/flavors/:flavor_id/os-extra_specs',
    policy: policy('os-flavor-extra-specs:create', ADMIN),
    summary: 'Set extra specs',
    body: envelope('extra_specs', SPECS),
    status: 200,
    handler: async ({
      app,
      ctx,
      params,
      body,
    }: OpRequest<{ extra_specs: Record<string, string | number> }>) => {
      const specs = texts(body.extra_specs);
      await setExtraSpecs(app, ctx, params.flavor_id!, specs);
      return { extra_specs: specs };
    },
  },
  {
    method: 'PUT',
    path: '/v2.1/flavors/:flavor_id/os-extra_specs/:key',
    policy: policy('os-flavor-extra-specs:update', ADMIN),
    summary: 'Set an extra spec',
    body: { ...SPECS, minProperties: 1, maxProperties: 1 },
    status: 200,
    handler: async ({ app, ctx, params, body }: OpRequest<Record<string, string | number>>) => {
      if (!Object.hasOwn(body, params.key!)) throw badRequest('Request body and URI mismatch');
      const specs = texts(body);
      await setExtraSpecs(app, ctx, params.flavor_id!, specs);
      return specs;
    },
  },
  {
    method: 'DELETE',
    path: '/v2.1/flavors/:flavor_id/os-extra_specs/:key',
    policy: policy('os-flavor-extra-specs:delete', ADMIN),
    summary: 'Delete an extra spec',
    status: 200,
    handler: ({ app, ctx, params }) => deleteExtraSpec(app, ctx, params.flavor_id!, params.key!),
  },
  {
    method: 'GET',
    path: '/v2.1/flavors/:flavor_id/os-flavor-access',
    policy: policy('os-flavor-access', ADMIN),
    summary: 'List projects that may use a private flavor',
    status: 200,
    handler: async ({ app, ctx, params }) =>
      showAccess(params.flavor_id!, await listFlavorAccess(app, ctx, params.flavor_id!)),
  },
  {
    method: 'POST',
    path: '/v2.1/flavors/:flavor_id/action',
    policy: policy('os-flavor-access:add_tenant_access', ADMIN),
    otherPolicy: ({ body }) => (actionOf(body) === 'removeTenantAccess' ? REMOVE_ACCESS.name : undefined),
    summary: 'Let a project use a private flavor, or no longer',
    body: { type: 'object', minProperties: 1 },
    status: 200,
    handler: changeAccess,
  },
];

/** What the body of an action names. */
function actionOf(body: unknown): string | undefined {
  return typeof body === 'object' && body !== null ? Object.keys(body)[0] : undefined;
}

type AccessBody = Readonly<Record<'addTenantAccess' | 'removeTenantAccess', { tenant: string } | undefined>>;

async function changeAccess({ app, ctx, params, body }: OpRequest<AccessBody>) {
  const id = params.flavor_id!;
  const action = actionOf(body);
  if (action === 'addTenantAccess') {
    validate(envelope(action, TENANT), body);
    return showAccess(id, await addFlavorAccess(app, ctx, id, body.addTenantAccess!.tenant));
  }
  if (action === 'removeTenantAccess') {
    validate(envelope(action, TENANT), body);
    return showAccess(id, await removeFlavorAccess(app, ctx, id, body.removeTenantAccess!.tenant));
  }
  throw badRequest(`There is no such action: ${action}`);
}

function showAccess(flavorId: string, projects: readonly string[]) {
  return { flavor_access: projects.map((tenant_id) => ({ flavor_id: flavorId, tenant_id })) };
}

function texts(specs: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(specs).map(([key, value]) => [key, String(value)]));
}
