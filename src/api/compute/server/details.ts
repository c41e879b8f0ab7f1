import { notFound } from '../../../core/errors.js';
import { findServerPort } from '../../../core/port/for-server.js';
import { type PortOfServer, portsOfServers } from '../../../core/port/of-servers.js';
import { visibleServer } from '../../../core/server/find.js';
import { findServerAction, listServerActions, type ServerActionRow } from '../../../store/compute/action.js';
import { hostName } from '../../../store/compute/hosts.js';
import { atLeast } from '../../shared/microversion.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { policy, READER } from '../policy.js';
import { addressesOf, hostIdOf, microseconds } from './view.js';

/** Addresses, interfaces, security groups and history of one server. */
export const serverDetailOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/ips',
    policy: policy('ips:index', READER),
    summary: "List a server's addresses",
    status: 200,
    handler: async (request) => ({ addresses: addressesOf((await ports(request)).ports, false) }),
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/ips/:network',
    policy: policy('ips:show', READER),
    summary: "List a server's addresses in one network",
    status: 200,
    handler: async (request) => {
      const addresses = addressesOf((await ports(request)).ports, false);
      const { network = '' } = request.params;
      if (!Object.hasOwn(addresses, network)) throw notFound('Instance is not a member of specified network');
      return { [network]: addresses[network] };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-interface',
    policy: policy('os-attach-interfaces:list', READER),
    summary: "List a server's interfaces",
    status: 200,
    handler: async (request) => ({ interfaceAttachments: (await ports(request)).ports.map(showInterface) }),
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-interface/:port_id',
    policy: policy('os-attach-interfaces:show', READER),
    summary: "Show one of a server's interfaces",
    status: 200,
    handler: async (request) => {
      const found = await ports(request);
      const { port_id = '' } = request.params;
      await findServerPort(request.app.store.read, found.id, port_id);
      const port = found.ports.find((p) => p.port_id === port_id);
      if (!port) throw notFound(`Port id ${port_id} could not be found.`);
      return { interfaceAttachment: showInterface(port) };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-security-groups',
    policy: policy('os-security-groups:list', READER),
    summary: "List a server's security groups",
    status: 200,
    handler: securityGroups,
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-instance-actions',
    policy: policy('os-instance-actions:list', READER),
    summary: 'List what was done to a server',
    status: 200,
    handler: async (request) => {
      const { app, ctx, params, version } = request;
      const { id } = await visibleServer(app.store.read, ctx, params.server_id!);
      const rows = await listServerActions(app.store.read, id);
      return { instanceActions: rows.map((row) => showAction(row, atLeast(version, '2.58'))) };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-instance-actions/:request_id',
    policy: policy('os-instance-actions:show', READER),
    summary: 'Show something that was done to a server',
    status: 200,
    handler: instanceAction,
  },
];

async function ports({
  app,
  ctx,
  params,
}: OpRequest): Promise<{ id: string; ports: readonly PortOfServer[] }> {
  const { id } = await visibleServer(app.store.read, ctx, params.server_id!);
  return { id, ports: (await portsOfServers(app.store.read, [id])).get(id) ?? [] };
}

function showInterface(port: PortOfServer) {
  return {
    net_id: port.network_id,
    port_id: port.port_id,
    mac_addr: port.mac_address,
    port_state: port.status,
    fixed_ips: port.addresses.map(({ subnet, ip_address }) => ({ subnet_id: subnet.id, ip_address })),
  };
}

async function securityGroups(request: OpRequest) {
  const { ports: found } = await ports(request);
  const groups = new Map(found.flatMap((port) => port.security_groups.map((group) => [group.id, group])));
  return {
    security_groups: [...groups.values()].map(({ id, name }) => ({
      id,
      name,
      description: '',
      tenant_id: request.ctx.projectId,
      rules: [],
    })),
  };
}

function showAction(row: ServerActionRow, updated: boolean) {
  return {
    action: row.action,
    instance_uuid: row.server_id,
    request_id: row.request_id,
    user_id: row.user_id,
    project_id: row.project_id,
    start_time: microseconds(row.start_time),
    message: row.message,
    ...(updated ? { updated_at: microseconds(row.updated_at) } : {}),
  };
}

async function instanceAction({ app, ctx, params, version }: OpRequest) {
  const db = app.store.read;
  const { id, project_id, host_id } = await visibleServer(db, ctx, params.server_id!);
  const row = await findServerAction(db, id, params.request_id!);
  if (!row) throw notFound(`Action for request_id ${params.request_id} on instance ${id} not found`);
  const shown = showAction(row, atLeast(version, '2.58'));
  const details = ctx.allows('os_compute_api:os-instance-actions:events:details');
  if (!details && !atLeast(version, '2.51')) return { instanceAction: shown };
  const host = row.host ?? (await hostName(db, host_id));
  const event = {
    event: row.event,
    start_time: microseconds(row.start_time),
    finish_time: microseconds(row.finish_time),
    result: row.result,
    ...(details ? { traceback: row.details } : atLeast(version, '2.51') ? { traceback: null } : {}),
    ...(atLeast(version, '2.62')
      ? { hostId: host === null ? '' : hostIdOf(project_id, host), ...(details ? { host } : {}) }
      : {}),
    ...(atLeast(version, '2.84') ? { details: row.details?.split('\n')[0] ?? null } : {}),
  };
  return { instanceAction: { ...shown, events: [event] } };
}
