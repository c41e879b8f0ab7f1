import type { Context } from '../../../core/context.js';
import { notFound } from '../../../core/errors.js';
import { findVisible, viewOf } from '../../../core/network/access.js';
import { networkNotFound } from '../../../core/network/problems.js';
import { listRows } from '../../../store/network/list.js';
import type { NetworkTables } from '../../../store/tables/network.js';
import type { Operation } from '../../shared/operation.js';
import { policy, READER } from '../policy.js';

type Network = NetworkTables['network'];

const UNTIL = '2.35';
/** What nova-network knew of its networks, and nobody knows any more. */
const LOST = [
  'broadcast',
  'cidr',
  'cidr_v6',
  'dns1',
  'dns2',
  'gateway',
  'gateway_v6',
  'netmask',
  'netmask_v6',
];
/** The same, which only administrators were shown. */
const LOST_OF_ADMINS = [
  ...['bridge', 'bridge_interface', 'created_at', 'deleted', 'deleted_at', 'dhcp_server', 'dhcp_start'],
  ...['enable_dhcp', 'host', 'injected', 'mtu', 'multi_host', 'priority', 'project_id', 'rxtx_base'],
  ...['share_address', 'updated_at', 'vlan', 'vpn_private_address', 'vpn_public_address', 'vpn_public_port'],
];

/** Networks as Nova once had them: another view of the network service's, to look at only. */
export const networkOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-networks',
    policy: policy('os-networks:list', READER),
    summary: 'List networks',
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx }) => ({
      networks: (await listRows(app.store.read, 'network', { visibleTo: viewOf(ctx) })).map((network) =>
        show(ctx, network),
      ),
    }),
  },
  {
    method: 'GET',
    path: '/v2.1/os-networks/:id',
    policy: policy('os-networks:show', READER),
    summary: 'Show a network',
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx, params }) => ({
      network: show(ctx, await findVisible(app.store.read, ctx, 'network', params.id!, networkNotFound)),
    }),
  },
  {
    method: 'GET',
    path: '/v2.1/os-tenant-networks',
    policy: policy('os-tenant-networks:list', READER),
    summary: "List a project's networks",
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx }) => ({
      networks: (await listRows(app.store.read, 'network', { visibleTo: ctx.projectId })).map(brief),
    }),
  },
  {
    method: 'GET',
    path: '/v2.1/os-tenant-networks/:id',
    policy: policy('os-tenant-networks:show', READER),
    summary: "Show a project's network",
    until: UNTIL,
    status: 200,
    handler: async ({ app, ctx, params }) => ({
      network: brief(
        await findVisible(app.store.read, ctx, 'network', params.id!, () => notFound('Network not found.')),
      ),
    }),
  },
];

function show(ctx: Context, network: Network): Record<string, unknown> {
  const lost = ctx.isAdmin ? [...LOST, ...LOST_OF_ADMINS] : LOST;
  return { id: network.id, label: network.name, ...Object.fromEntries(lost.map((name) => [name, null])) };
}

function brief({ id, name }: Network) {
  return { id, cidr: 'None', label: name };
}
