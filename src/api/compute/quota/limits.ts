import { COMPUTE_QUOTAS } from '../../../core/quota/compute.js';
import { effectiveLimits } from '../../../core/quota/quota.js';
import { computeUsage } from '../../../core/server/usage.js';
import { atLeast } from '../../shared/microversion.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { ANYBODY, policy } from '../policy.js';

export const limitOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/limits',
    policy: policy('limits', ANYBODY),
    summary: "Show a project's limits and what it uses of them",
    status: 200,
    handler: show,
  },
];

async function show({ app, ctx, version, query }: OpRequest) {
  const db = app.store.read;
  const other = lastValue(query.tenant_id);
  if (other !== undefined && other !== ctx.projectId) {
    ctx.authorize('os_compute_api:limits:other_project', { project_id: other });
  }
  const projectId = other ?? ctx.projectId;
  const limits = await effectiveLimits(db, projectId, 'compute', COMPUTE_QUOTAS);
  const used = await computeUsage(db, projectId, null);
  const absolute = {
    maxTotalInstances: limits.instances,
    maxTotalCores: limits.cores,
    maxTotalRAMSize: limits.ram,
    maxServerMeta: limits.metadata_items,
    ...(atLeast(version, '2.39') ? {} : { maxImageMeta: limits.metadata_items }),
    ...(atLeast(version, '2.57')
      ? {}
      : { maxPersonality: limits.injected_files, maxPersonalitySize: limits.injected_file_content_bytes }),
    maxTotalKeypairs: limits.key_pairs,
    maxServerGroups: limits.server_groups,
    maxServerGroupMembers: limits.server_group_members,
    ...(atLeast(version, '2.36')
      ? {}
      : {
          maxTotalFloatingIps: limits.floating_ips,
          maxSecurityGroups: limits.security_groups,
          maxSecurityGroupRules: limits.security_group_rules,
          totalFloatingIpsUsed: 0,
          totalSecurityGroupsUsed: 0,
        }),
    totalRAMUsed: used.ram,
    totalCoresUsed: used.cores,
    totalInstancesUsed: used.instances,
    totalServerGroupsUsed: used.server_groups,
  };
  return { limits: { rate: [], absolute } };
}
