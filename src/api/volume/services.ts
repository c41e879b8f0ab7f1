import { DEFAULT_ZONE } from '../../core/scheduler/candidate.js';
import type { HostFacts } from '../../protocol/messages.js';
import { listHosts } from '../../store/hosts.js';
import { volumeUse } from '../../store/volume.js';
import type { Operation } from '../shared/operation.js';
import { inMicroseconds } from '../shared/times.js';

const ADMIN = 'rule:context_is_admin';

export const serviceOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v3/:project_id/os-availability-zone',
    policy: { name: 'volume:availability_zone_list', rule: '@' },
    summary: 'List availability zones',
    status: 200,
    handler: () => ({ availabilityZoneInfo: [{ zoneName: DEFAULT_ZONE, zoneState: { available: true } }] }),
  },
  {
    method: 'GET',
    path: '/v3/:project_id/os-services',
    policy: { name: 'volume_extension:services:index', rule: ADMIN },
    summary: 'List the hosts that keep volumes',
    status: 200,
    handler: async ({ app, query }) => {
      const hosts = await listHosts(app.store.read);
      const services = hosts.map((host) => ({
        binary: 'cinder-volume',
        host: `${host.name}@local`,
        zone: DEFAULT_ZONE,
        status: host.enabled ? 'enabled' : 'disabled',
        state: app.hosts.isUp(host.id) ? 'up' : 'down',
        updated_at: host.last_seen_at && inMicroseconds(host.last_seen_at),
        disabled_reason: host.disabled_reason,
        replication_status: 'disabled',
        active_backend_id: null,
        frozen: false,
      }));
      const wanted = query.host === undefined ? undefined : String(query.host);
      const binary = query.binary === undefined ? undefined : String(query.binary);
      return {
        services: services.filter(
          (s) =>
            (wanted === undefined || s.host === wanted || s.host.startsWith(`${wanted}@`)) &&
            (binary === undefined || s.binary === binary),
        ),
      };
    },
  },
  {
    method: 'GET',
    path: '/v3/:project_id/scheduler-stats/get_pools',
    policy: { name: 'scheduler_extension:scheduler_stats:get_pools', rule: ADMIN },
    summary: 'List the pools that volumes are made in',
    status: 200,
    handler: async ({ app, query }) => {
      const detail = /^(true|1)$/i.test(String(query.detail ?? ''));
      const used = await volumeUse(app.store.read);
      const hosts = await listHosts(app.store.read);
      return {
        pools: hosts.map((host) => {
          const name = `${host.name}@local#local`;
          if (!detail) return { name };
          const total = host.facts ? (JSON.parse(host.facts) as HostFacts).disk_gb : 0;
          const allocated = used.get(host.id) ?? 0;
          return {
            name,
            capabilities: {
              pool_name: 'local',
              volume_backend_name: 'local',
              storage_protocol: 'file',
              vendor_name: 'Maru',
              driver_version: '1',
              total_capacity_gb: total,
              free_capacity_gb: Math.max(0, total - allocated),
              allocated_capacity_gb: allocated,
              provisioned_capacity_gb: allocated,
              reserved_percentage: 0,
              QoS_support: false,
              timestamp: new Date().toISOString().slice(0, -1),
            },
          };
        }),
      };
    },
  },
];
