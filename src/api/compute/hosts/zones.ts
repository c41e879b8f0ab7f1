import { summariseHosts } from '../../../core/compute-host/summary.js';
import { DEFAULT_ZONE } from '../../../core/scheduler/candidate.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { ADMIN, ANYBODY, policy } from '../policy.js';
import { microseconds } from '../server/view.js';

/** Availability zones. */
export const zoneOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-availability-zone',
    policy: policy('os-availability-zone:list', ANYBODY),
    summary: 'List availability zones',
    status: 200,
    handler: (request) => list(request, false),
  },
  {
    method: 'GET',
    path: '/v2.1/os-availability-zone/detail',
    policy: policy('os-availability-zone:detail', ADMIN),
    summary: 'List availability zones with their hosts',
    status: 200,
    handler: (request) => list(request, true),
  },
];

async function list({ app }: OpRequest, detailed: boolean) {
  const hosts = await summariseHosts(app);
  const names = new Set([DEFAULT_ZONE, ...hosts.map(({ zone }) => zone)]);
  const zones = [...names].sort().map((name) => {
    const members = hosts.filter(({ zone }) => zone === name);
    const shown = members.map(({ host, up }) => [
      host.name,
      {
        'nova-compute': {
          available: up,
          active: host.enabled === 1,
          updated_at: microseconds(host.last_seen_at),
        },
      },
    ]);
    return {
      zoneName: name,
      // as in Nova, a zone is available when a host in it is enabled
      zoneState: { available: members.some(({ host }) => host.enabled === 1) },
      hosts: detailed ? Object.fromEntries(shown) : null,
      members: members.length,
    };
  });
  return {
    availabilityZoneInfo: zones
      .filter((zone) => zone.members > 0 || (zones.length === 1 && zone.zoneName === DEFAULT_ZONE))
      .map(({ members: _members, ...zone }) => zone),
  };
}
