import { badRequest, forbidden } from '../../core/errors.js';
import { NETWORK_QUOTAS, type NetworkQuota, networkUsage } from '../../core/network/quota.js';
import { effectiveLimits } from '../../core/quota/quota.js';
import { deleteLimits, projectsWithLimits, writeLimits } from '../../store/quota.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { toInteger } from './converters.js';
import { ADMIN_RULE, READ_RULE } from './resource.js';

const SERVICE = 'network';
const RESOURCES = Object.keys(NETWORK_QUOTAS) as NetworkQuota[];
const read = { name: 'get_quota', rule: READ_RULE };
const write = { name: 'update_quota', rule: ADMIN_RULE };

export const quotaOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.0/quotas',
    policy: { name: 'get_quotas', rule: ADMIN_RULE },
    summary: 'List quotas that differ from the defaults',
    status: 200,
    handler: listQuotas,
  },
  {
    method: 'GET',
    path: '/v2.0/quotas/tenant',
    policy: read,
    summary: 'Show the project of the token',
    status: 200,
    handler: ({ ctx }) => ({ tenant: { tenant_id: ctx.projectId } }),
  },
  {
    method: 'GET',
    path: '/v2.0/quotas/:project_id',
    policy: read,
    summary: 'Show quotas of a project',
    status: 200,
    async handler(request) {
      return { quota: await limitsOf(request) };
    },
  },
  {
    method: 'GET',
    path: '/v2.0/quotas/:project_id/default',
    policy: read,
    summary: 'Show default quotas',
    status: 200,
    handler: (request) => {
      refuseOthers(request);
      return { quota: NETWORK_QUOTAS };
    },
  },
  {
    method: 'GET',
    path: '/v2.0/quotas/:project_id/details',
    policy: read,
    summary: 'Show quotas of a project and what is used',
    status: 200,
    handler: details,
  },
  {
    method: 'PUT',
    path: '/v2.0/quotas/:project_id',
    policy: write,
    summary: 'Change quotas of a project',
    status: 200,
    handler: update,
  },
  {
    method: 'DELETE',
    path: '/v2.0/quotas/:project_id',
    policy: { name: 'delete_quota', rule: ADMIN_RULE },
    summary: 'Give a project the default quotas again',
    status: 204,
    async handler({ app, params }) {
      await app.store.tx((tx) => deleteLimits(tx, params.project_id!, SERVICE));
    },
  },
];

async function listQuotas({ app }: OpRequest) {
  const db = app.store.read;
  const quotas = [];
  for (const projectId of await projectsWithLimits(db, SERVICE)) {
    const limits = await effectiveLimits(db, projectId, SERVICE, NETWORK_QUOTAS);
    quotas.push({ ...limits, tenant_id: projectId, project_id: projectId });
  }
  return { quotas };
}

async function limitsOf(request: OpRequest) {
  refuseOthers(request);
  const { app, params } = request;
  return await effectiveLimits(app.store.read, params.project_id!, SERVICE, NETWORK_QUOTAS);
}

function refuseOthers({ ctx, params }: OpRequest): void {
  if (ctx.isAdmin || params.project_id === ctx.projectId) return;
  throw forbidden('Non-admin is not authorised to access quotas for another tenant.', 'NotAuthorized');
}

async function details(request: OpRequest) {
  const limits = await limitsOf(request);
  const quota: Record<string, unknown> = {};
  for (const resource of RESOURCES) {
    const used = await networkUsage(request.app.store.read, request.params.project_id!, resource);
    quota[resource] = { limit: limits[resource], used, reserved: 0 };
  }
  return { quota };
}

async function update(request: OpRequest) {
  const { app, params } = request;
  const given = (request.body as { quota?: Record<string, unknown> } | undefined)?.quota;
  if (!given || typeof given !== 'object') {
    throw badRequest("Unable to find 'quota' in request body", 'HTTPBadRequest');
  }
  const limits: Record<string, number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!RESOURCES.includes(name as NetworkQuota)) {
      throw badRequest(`Unrecognized attribute(s) '${name}'`, 'HTTPBadRequest');
    }
    const limit = toInteger(value);
    if (limit < -1 || limit > 2_147_483_647) {
      throw badRequest(
        `Invalid input for ${name}. Reason: '${limit}' must be between -1 and 2147483647.`,
        'HTTPBadRequest',
      );
    }
    limits[name] = limit;
  }
  await app.store.tx((tx) => writeLimits(tx, params.project_id!, SERVICE, limits));
  return { quota: await limitsOf(request) };
}
