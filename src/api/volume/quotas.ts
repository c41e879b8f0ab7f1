import type { App } from '../../core/app.js';
import { DEFAULT_CLASS, effectiveLimits } from '../../core/quota/quota.js';
import { VOLUME_QUOTA_DEFAULTS } from '../../core/volume/quota.js';
import { deleteLimits, writeLimits } from '../../store/quota.js';
import { countVolumes } from '../../store/volume.js';
import type { Operation, OpRequest } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';
const SET = '/v3/:project_id/os-quota-sets/:target_id';
const LIMIT = {
  type: ['integer', 'string'],
  minimum: -1,
  maximum: 2_147_483_647,
  pattern: '^-?[0-9]{1,10}$',
};

const UPDATE = {
  type: 'object',
  properties: {
    quota_set: {
      type: 'object',
      properties: {
        ...Object.fromEntries(Object.keys(VOLUME_QUOTA_DEFAULTS).map((name) => [name, LIMIT])),
        tenant_id: { type: 'string' },
      },
      additionalProperties: false,
    },
  },
  required: ['quota_set'],
  additionalProperties: false,
};

export const quotaOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v3/:project_id/limits',
    policy: { name: 'limits_extension:used_limits', rule: 'rule:project_reader_or_admin' },
    summary: 'Show limits and what is used of them',
    status: 200,
    handler: async ({ app, ctx }) => {
      const limits = await effectiveLimits(app.store.read, ctx.projectId, 'volume', VOLUME_QUOTA_DEFAULTS);
      const used = await usage(app, ctx.projectId);
      return {
        limits: {
          rate: [],
          absolute: {
            maxTotalVolumes: limits.volumes,
            maxTotalSnapshots: limits.snapshots,
            maxTotalVolumeGigabytes: limits.gigabytes,
            maxTotalBackups: limits.backups,
            maxTotalBackupGigabytes: limits.backup_gigabytes,
            totalVolumesUsed: used.volumes,
            totalGigabytesUsed: used.gigabytes,
            totalSnapshotsUsed: used.snapshots,
            totalBackupsUsed: used.backups,
            totalBackupGigabytesUsed: used.backup_gigabytes,
          },
        },
      };
    },
  },
  {
    method: 'GET',
    path: SET,
    policy: { name: 'volume_extension:quotas:show', rule: 'rule:project_reader_or_admin' },
    summary: "Show a project's quotas",
    status: 200,
    target: ({ params }) => ({ project_id: params.target_id }),
    handler: show,
  },
  {
    method: 'GET',
    path: `${SET}/defaults`,
    policy: { name: 'volume_extension:quotas:show_defaults', rule: 'rule:project_reader_or_admin' },
    summary: 'Show default quotas',
    status: 200,
    target: ({ params }) => ({ project_id: params.target_id }),
    handler: async ({ app, params }) => ({
      quota_set: { ...(await limitsOf(app, DEFAULT_CLASS)), id: params.target_id },
    }),
  },
  {
    method: 'PUT',
    path: SET,
    policy: { name: 'volume_extension:quotas:update', rule: ADMIN },
    summary: "Change a project's quotas",
    status: 200,
    body: UPDATE,
    handler: async ({ app, params, body }) => {
      const { tenant_id: _ignored, ...limits } = body.quota_set as Record<string, number | string>;
      const numbers = Object.fromEntries(
        Object.entries(limits).map(([name, value]) => [name, Number(value)]),
      );
      await app.store.tx((tx) => writeLimits(tx, params.target_id!, 'volume', numbers));
      return { quota_set: await limitsOf(app, params.target_id!) };
    },
  },
  {
    method: 'DELETE',
    path: SET,
    policy: { name: 'volume_extension:quotas:delete', rule: ADMIN },
    summary: "Forget a project's own quotas",
    status: 200,
    handler: async ({ app, params }) => {
      await app.store.tx((tx) => deleteLimits(tx, params.target_id!, 'volume'));
    },
  },
];

async function show({ app, params, query }: OpRequest): Promise<unknown> {
  const limits = await limitsOf(app, params.target_id!);
  if (!/^(true|1)$/i.test(String(query.usage ?? '')))
    return { quota_set: { ...limits, id: params.target_id } };
  const used = await usage(app, params.target_id!);
  const entries = Object.entries(limits).map(([name, limit]) => [
    name,
    { limit, in_use: (used as Record<string, number>)[name] ?? 0, reserved: 0 },
  ]);
  return { quota_set: { ...Object.fromEntries(entries), id: params.target_id } };
}

async function limitsOf(app: App, projectId: string): Promise<Record<string, number>> {
  const limits = await effectiveLimits(app.store.read, projectId, 'volume', VOLUME_QUOTA_DEFAULTS);
  return { ...limits, volumes___DEFAULT__: -1, gigabytes___DEFAULT__: -1, snapshots___DEFAULT__: -1 };
}

/** What a project uses. There are no snapshots and no backups yet, so none are used. */
async function usage(app: App, projectId: string) {
  const { volumes, gigabytes } = await countVolumes(app.store.read, projectId);
  return { volumes, gigabytes, snapshots: 0, backups: 0, backup_gigabytes: 0 };
}
