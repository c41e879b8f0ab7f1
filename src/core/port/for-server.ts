import { addressesOfPorts } from '../../store/network/address.js';
import { networksOfProject, sharedNetworks, subnetsOfNetworks } from '../../store/network/network.js';
import { portsOfServer } from '../../store/network/port.js';
import { findRow, updateRow } from '../../store/network/rows.js';
import { addTags } from '../../store/network/tag.js';
import type { Reader, Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import type { App } from '../app.js';
import { bindPort, unbindPort } from '../binding/bind.js';
import type { Context } from '../context.js';
import { badRequest, conflict, forbidden, notFound } from '../errors.js';
import { claimNetworkQuota } from '../network/quota.js';
import { resolveGroups } from '../security-group/resolve.js';
import { recordPortMoved } from './changes.js';
import { insertPort } from './insert.js';
import { removePort } from './remove.js';
import { checkPortRights } from './rules.js';

type Network = NetworkTables['network'];
type Port = NetworkTables['port'];

/** One interface that a server is to have: on a network, perhaps with a certain address, or an existing port. */
export interface RequestedNic {
  readonly network?: string | undefined;
  readonly port?: string | undefined;
  readonly fixed_ip?: string | undefined;
  readonly tag?: string | undefined;
}

export interface ServerPortsRequest {
  readonly serverId: string;
  readonly projectId: string;
  /** `auto`: the project's only network, if it has one; `none`: no interface. */
  readonly requested: readonly RequestedNic[] | 'auto' | 'none';
  /** Names or ids; empty: the project's default group. Existing ports keep theirs. */
  readonly securityGroups: readonly string[];
  /** Null until the scheduler has chosen: bind the ports then with bindPort. */
  readonly hostId: string | null;
  /** Shown as the second half of device_owner `compute:<zone>`; `nova` when absent. */
  readonly availabilityZone?: string;
}

export interface ServerPort {
  readonly port: Port;
  readonly network: Network;
  readonly addresses: readonly string[];
  readonly tag: string | null;
}

/** Makes or takes the ports of a new server (or of one more interface), in the transaction that creates it. */
export async function createServerPorts(
  tx: Tx,
  ctx: Context,
  app: App,
  request: ServerPortsRequest,
): Promise<ServerPort[]> {
  if (request.requested === 'none') return [];
  const nics = request.requested === 'auto' ? await automaticNics(tx, request.projectId) : request.requested;
  if (nics.length === 0) return [];
  const names = request.securityGroups.length ? request.securityGroups : ['default'];
  const groupIds = await resolveGroups(tx, request.projectId, names);
  await claimNetworkQuota(app, tx, request.projectId, 'port', nics.filter((nic) => !nic.port).length);
  const ports: ServerPort[] = [];
  // of a server that has interfaces already, the new ones come last
  const first = ((await portsOfServer(tx, request.serverId)).at(-1)?.device_index ?? -1) + 1;
  for (const [i, nic] of nics.entries()) {
    const { port, network } = nic.port
      ? await takePort(tx, ctx, app, request, nic.port, first + i)
      : await makePort(tx, ctx, request, nic, groupIds, first + i);
    if (nic.tag) await addTags(tx, port.id, [nic.tag]);
    if (request.hostId) await bindPort(tx, port.id, request.hostId);
    const addresses = (await addressesOfPorts(tx, [port.id])).map((row) => row.ip_address);
    ports.push({ port, network, addresses, tag: nic.tag ?? null });
  }
  return ports;
}

/** Removes a server's ports; those it was given by their ids are only detached. */
export async function deleteServerPorts(tx: Tx, serverId: string): Promise<void> {
  for (const port of await portsOfServer(tx, serverId)) await releaseServerPort(tx, port);
}

/** Takes one port from its server, for interface detach; deletes it when it was made for the server. */
export async function releaseServerPort(tx: Tx, port: Port): Promise<void> {
  if (port.delete_with_server) {
    await removePort(tx, port);
    return;
  }
  await unbindPort(tx, port.id);
  await updateRow(tx, 'port', port.id, {
    device_id: '',
    device_owner: '',
    server_id: null,
    device_index: null,
  });
}

/** The one network that a server is plugged into when its request names none; refuses in Nova's words when there are several. */
export async function networksForAuto(db: Reader, projectId: string): Promise<Network[]> {
  const networks = [...(await networksOfProject(db, projectId)), ...(await sharedNetworks(db, projectId))];
  const subnets = await subnetsOfNetworks(
    db,
    networks.map((network) => network.id),
  );
  const usable = networks.filter((network) => subnets.some((subnet) => subnet.network_id === network.id));
  if (usable.length > 1) {
    throw conflict('Multiple possible networks found, use a Network ID to be more specific.');
  }
  return usable;
}

/** Provider networks that a host must offer for ports on these networks: what the scheduler asks for. */
export async function physicalNetworksOf(db: Reader, networkIds: readonly string[]): Promise<string[]> {
  const needed = new Set<string>();
  for (const id of networkIds) {
    const network = await findRow(db, 'network', id);
    if (network?.physical_network) needed.add(network.physical_network);
  }
  return [...needed].sort();
}

async function automaticNics(tx: Tx, projectId: string): Promise<RequestedNic[]> {
  return (await networksForAuto(tx, projectId)).map((network) => ({ network: network.id }));
}

async function takePort(
  tx: Tx,
  ctx: Context,
  app: App,
  request: ServerPortsRequest,
  portId: string,
  deviceIndex: number,
): Promise<{ port: Port; network: Network }> {
  // of two servers that want one port, the second has to see what the first did
  await app.store.lockFamily(tx, portId, 'port');
  const port = await findRow(tx, 'port', portId);
  if (!port || (port.project_id !== request.projectId && !ctx.isAdmin)) {
    throw badRequest(`Port id ${portId} could not be found.`);
  }
  if (port.device_id !== '') throw badRequest(`Port ${portId} is still in use.`);
  const device_owner = `compute:${request.availabilityZone ?? 'nova'}`;
  const taken = await updateRow(tx, 'port', portId, {
    device_id: request.serverId,
    device_owner,
    server_id: request.serverId,
    device_index: deviceIndex,
  });
  // one that was bound before is on its host from now on: binding it there again would say nothing
  if (port.binding_host !== '') await recordPortMoved(tx, taken!);
  return { port: taken!, network: (await findRow(tx, 'network', port.network_id))! };
}

async function makePort(
  tx: Tx,
  ctx: Context,
  request: ServerPortsRequest,
  nic: RequestedNic,
  groupIds: readonly string[],
  deviceIndex: number,
): Promise<{ port: Port; network: Network }> {
  const network = nic.network ? await findRow(tx, 'network', nic.network) : null;
  if (!network || !maySee(ctx, request.projectId, network)) {
    throw badRequest(`Network ${nic.network} could not be found.`);
  }
  if (network.external && !network.shared && network.project_id !== request.projectId && !ctx.isAdmin) {
    throw forbidden(`It is not allowed to create an interface on external network ${network.id}`);
  }
  // an address of one's choice on somebody else's network could be its gateway's
  if (nic.fixed_ip)
    checkPortRights(ctx, network, { fixed_ips: [{ ip_address: nic.fixed_ip }] }, 'create_port');
  const subnets = await subnetsOfNetworks(tx, [network.id]);
  const secure = network.port_security_enabled === 1;
  if (secure && subnets.length === 0) {
    throw badRequest(
      'Network requires port_security_enabled and subnet associated in order to apply security groups.',
    );
  }
  const port = await insertPort(tx, network, subnets, {
    project_id: request.projectId,
    device_id: request.serverId,
    device_owner: `compute:${request.availabilityZone ?? 'nova'}`,
    server_id: request.serverId,
    device_index: deviceIndex,
    delete_with_server: 1,
    fixed_ips: nic.fixed_ip ? [{ ip_address: nic.fixed_ip }] : undefined,
    security_group_ids: secure ? groupIds : [],
  });
  return { port, network };
}

function maySee(ctx: Context, projectId: string, network: Network): boolean {
  return ctx.isAdmin || network.project_id === projectId || network.shared === 1 || network.external === 1;
}

/** A server's port by its id, for interface show and detach. */
export async function findServerPort(db: Reader, serverId: string, portId: string): Promise<Port> {
  const port = await findRow(db, 'port', portId);
  if (!port || port.server_id !== serverId) throw notFound(`Port id ${portId} could not be found.`);
  return port;
}
