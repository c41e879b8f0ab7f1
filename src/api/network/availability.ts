import { networkNotFound } from '../../core/network/problems.js';
import { type IpRange, rangeSize } from '../../net/range.js';
import { addressUse } from '../../store/network/address.js';
import { listRows } from '../../store/network/list.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import type { Reader } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import type { Operation } from '../shared/operation.js';
import { ADMIN_OR_SERVICE_RULE, type Json } from './resource.js';
import { ids } from './standard.js';

const policy = { name: 'get_network_ip_availability', rule: ADMIN_OR_SERVICE_RULE };

/** How many addresses of each subnet are used, for administrators and services. */
export const availabilityOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.0/network-ip-availabilities',
    policy,
    summary: 'List address use of networks',
    status: 200,
    async handler({ app, ctx, query }) {
      const db = app.store.read;
      const wanted = (key: string) => (query[key] === undefined ? null : [query[key]].flat());
      const [networkIds, names, projects] = [
        wanted('network_id'),
        wanted('network_name'),
        wanted('project_id') ?? wanted('tenant_id'),
      ];
      const networks = (await listRows(db, 'network', { visibleTo: ctx.listScope(policy.name) })).filter(
        (network) =>
          (networkIds?.includes(network.id) ?? true) &&
          (names?.includes(network.name) ?? true) &&
          (projects?.includes(network.project_id) ?? true),
      );
      const version = wanted('ip_version')?.map(Number) ?? null;
      return { network_ip_availabilities: await view(db, networks, version) };
    },
  },
  {
    method: 'GET',
    path: '/v2.0/network-ip-availabilities/:network_id',
    policy,
    summary: 'Show address use of a network',
    status: 200,
    async handler({ app, ctx, params }) {
      const db = app.store.read;
      const id = params.network_id!;
      const [network] = await listRows(db, 'network', { visibleTo: ctx.listScope(policy.name), id });
      if (!network) throw networkNotFound(id);
      return { network_ip_availability: (await view(db, [network], null))[0] };
    },
  },
];

async function view(
  db: Reader,
  networks: readonly NetworkTables['network'][],
  versions: readonly number[] | null,
): Promise<Json[]> {
  const subnets = (await subnetsOfNetworks(db, ids(networks))).filter(
    (subnet) => versions?.includes(subnet.ip_version) ?? true,
  );
  const used = await addressUse(db, ids(subnets));
  return networks.map((network) => {
    const own = subnets
      .filter((subnet) => subnet.network_id === network.id)
      .map((subnet) => ({
        subnet_id: subnet.id,
        subnet_name: subnet.name,
        ip_version: subnet.ip_version,
        cidr: subnet.cidr,
        used_ips: used.get(subnet.id) ?? 0,
        total_ips: poolSize(subnet),
      }));
    return {
      network_id: network.id,
      network_name: network.name,
      tenant_id: network.project_id,
      project_id: network.project_id,
      subnet_ip_availability: own,
      used_ips: own.reduce((sum, subnet) => sum + subnet.used_ips, 0),
      total_ips: own.reduce((sum, subnet) => sum + subnet.total_ips, 0),
    };
  });
}

function poolSize(subnet: NetworkTables['subnet']): number {
  const pools = JSON.parse(subnet.allocation_pools) as IpRange[];
  return Number(pools.reduce((sum, pool) => sum + rangeSize(pool), 0n));
}
