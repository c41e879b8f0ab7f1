import { badRequest } from '../../../core/errors.js';
import { COMPUTE_QUOTAS, type ComputeQuota } from '../../../core/quota/compute.js';
import { DEFAULT_CLASS, effectiveLimits } from '../../../core/quota/quota.js';
import { computeUsage } from '../../../core/server/usage.js';
import { deleteLimits, writeLimits } from '../../../store/quota.js';
import { atLeast } from '../../shared/microversion.js';
import type { Microversion, Operation, OpRequest, Schema } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { ADMIN, ANYBODY, policy, READER } from '../policy.js';
import { BOOLEAN, envelope, isTrue, object } from '../schemas.js';

const LIMIT: Schema = {
  type: ['integer', 'string'],
  pattern: '^-?[0-9]+$',
  minimum: -1,
  maximum: 2_147_483_647,
};
const NETWORK = ['fixed_ips', 'floating_ips', 'security_groups', 'security_group_rules'];
const INJECTED = ['injected_files', 'injected_file_content_bytes', 'injected_file_path_bytes'];

type Limits = Partial<Record<ComputeQuota, number | string>>;

/** Limits of projects, and of the class that holds the defaults. */
export const quotaOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-quota-sets/:project_id',
    policy: policy('os-quota-sets:show', READER),
    summary: "Show a project's limits",
    target: projectTarget,
    status: 200,
    handler: async (request) => ({ quota_set: await show(request, request.params.project_id!) }),
  },
  {
    method: 'GET',
    path: '/v2.1/os-quota-sets/:project_id/defaults',
    policy: policy('os-quota-sets:defaults', ANYBODY),
    summary: 'Show the default limits',
    status: 200,
    handler: async (request) => {
      const { id: _id, ...limits } = await show(request, DEFAULT_CLASS);
      return { quota_set: { id: request.params.project_id, ...limits } };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-quota-sets/:project_id/detail',
    policy: policy('os-quota-sets:detail', READER),
    summary: "Show a project's limits and what it uses of them",
    target: projectTarget,
    status: 200,
    handler: detail,
  },
  {
    method: 'PUT',
    path: '/v2.1/os-quota-sets/:project_id',
    policy: policy('os-quota-sets:update', ADMIN),
    summary: "Change a project's limits",
    body: [
      ['2.1', quotaSchema('quota_set', '2.1')],
      ['2.36', quotaSchema('quota_set', '2.36')],
      ['2.57', quotaSchema('quota_set', '2.57')],
    ],
    status: 200,
    handler: update,
  },
  {
    method: 'DELETE',
    path: '/v2.1/os-quota-sets/:project_id',
    policy: policy('os-quota-sets:delete', ADMIN),
    summary: 'Give a project the default limits again',
    status: 202,
    handler: async ({ app, params }) => {
      await app.store.tx((tx) => deleteLimits(tx, params.project_id!, 'compute'));
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-quota-class-sets/:class',
    policy: policy('os-quota-class-sets:show', ADMIN),
    summary: 'Show the limits of a class',
    status: 200,
    handler: async (request) => {
      const { id: _id, ...limits } = await show(request, `class:${request.params.class}`);
      return { quota_class_set: { id: request.params.class, ...limits } };
    },
  },
  {
    method: 'PUT',
    path: '/v2.1/os-quota-class-sets/:class',
    policy: policy('os-quota-class-sets:update', ADMIN),
    summary: 'Change the limits of a class; those of `default` are everybody’s defaults',
    body: [
      ['2.1', quotaSchema('quota_class_set', '2.1')],
      ['2.50', quotaSchema('quota_class_set', '2.50')],
      ['2.57', quotaSchema('quota_class_set', '2.57')],
    ],
    status: 200,
    handler: async (request: OpRequest<{ quota_class_set: Limits }>) => {
      const id = `class:${request.params.class}`;
      await write(request, id, request.body.quota_class_set);
      const { id: _id, ...limits } = await show(request, id);
      return { quota_class_set: limits };
    },
  },
];

function projectTarget({ params }: OpRequest) {
  return { project_id: params.project_id };
}

/** Names of the limits that a microversion shows and takes. */
function namesAt(version: Microversion): ComputeQuota[] {
  const names = Object.keys(COMPUTE_QUOTAS) as ComputeQuota[];
  return names.filter(
    (name) =>
      !(atLeast(version, '2.36') && NETWORK.includes(name)) &&
      !(atLeast(version, '2.57') && INJECTED.includes(name)),
  );
}

function quotaSchema(key: string, since: string): Schema {
  const [major = 2, minor = 1] = since.split('.').map(Number);
  const names = namesAt({ major, minor });
  const limits = Object.fromEntries(names.map((name) => [name, LIMIT]));
  return envelope(key, object({ ...limits, force: BOOLEAN, tenant_id: {}, id: {} }));
}

async function show({ app, version }: OpRequest, id: string): Promise<Record<string, unknown>> {
  const limits = await effectiveLimits(app.store.read, id, 'compute', COMPUTE_QUOTAS);
  return { id, ...Object.fromEntries(namesAt(version).map((name) => [name, limits[name]])) };
}

async function detail(request: OpRequest) {
  const { app, version, params } = request;
  const db = app.store.read;
  const id = params.project_id!;
  const limits = await effectiveLimits(db, id, 'compute', COMPUTE_QUOTAS);
  const used: Partial<Record<ComputeQuota, number>> = await computeUsage(db, id, null);
  const shown = namesAt(version).map((name) => [
    name,
    { limit: limits[name], in_use: used[name] ?? 0, reserved: 0 },
  ]);
  return { quota_set: { id, ...Object.fromEntries(shown) } };
}

async function update(request: OpRequest<{ quota_set: Limits & { force?: unknown } }>) {
  const { app, params, query, body } = request;
  const id = params.project_id!;
  if (lastValue(query.user_id) !== undefined) throw badRequest('Limits of single users are not supported.');
  const { force, ...limits } = body.quota_set;
  if (!isTrue(force ?? false)) {
    const used: Partial<Record<ComputeQuota, number>> = await computeUsage(app.store.read, id, null);
    for (const [name, limit] of Object.entries(limits)) {
      const inUse = used[name as ComputeQuota] ?? 0;
      if (Number(limit) >= 0 && Number(limit) < inUse) {
        throw badRequest(
          `Quota limit ${limit} for ${name} must be greater than or equal to already used and reserved ${inUse}.`,
        );
      }
    }
  }
  await write(request, id, limits);
  const { id: _id, ...shown } = await show(request, id);
  return { quota_set: shown };
}

async function write({ app }: OpRequest, id: string, limits: Limits): Promise<void> {
  const numbers = Object.entries(limits).filter(([name]) => name in COMPUTE_QUOTAS);
  for (const [name, value] of numbers) {
    const number = Number(value);
    if (number >= -1 && number <= 2_147_483_647) continue;
    throw badRequest(`Invalid input for field/attribute ${name}. Value: ${value}. It is out of range.`);
  }
  await app.store.tx((tx) =>
    writeLimits(tx, id, 'compute', Object.fromEntries(numbers.map(([name, value]) => [name, Number(value)]))),
  );
}
