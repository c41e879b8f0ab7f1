import { notFound } from '../../../core/errors.js';
import { findServerPort } from '../../../core/port/for-server.js';
import { type PortOfServer, portsOfServers } from '../../../core/port/of-servers.js';
import { visibleServer } from '../../../core/server/find.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { policy, READER } from '../policy.js';
import { addressesOf } from './view.js';

/** Addresses, interfaces and security groups of one server. */
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
];

async function ports({
  app,
  ctx,
  params,
}: OpRequest): Promise<{ id: string; projectId: string; ports: readonly PortOfServer[] }> {
  const { id, project_id } = await visibleServer(app.store.read, ctx, params.server_id!);
  return { id, projectId: project_id, ports: (await portsOfServers(app.store.read, [id])).get(id) ?? [] };
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
  const { ports: found, projectId } = await ports(request);
  const groups = new Map(found.flatMap((port) => port.security_groups.map((group) => [group.id, group])));
  return {
    security_groups: [...groups.values()].map(({ id, name }) => ({
      id,
      name,
      description: '',
      tenant_id: projectId,
      rules: [],
    })),
  };
}
