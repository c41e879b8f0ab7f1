import { cidrsOverlap, parseCidr } from '../../net/cidr.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import { portsOfDevice } from '../../store/network/port.js';
import { floatingIpsOfRouter } from '../../store/network/router.js';
import { findRow, findRows, updateRow } from '../../store/network/rows.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { claimFixedIps } from '../address/fixed-ips.js';
import { giveBackAddresses } from '../address/give-back.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, notFound } from '../errors.js';
import { findVisible, owns } from '../network/access.js';
import { portNotFound, subnetNotFound } from '../network/problems.js';
import { claimNetworkQuota } from '../network/quota.js';
import { ensureDhcpPort } from '../port/dhcp-port.js';
import { insertPort } from '../port/insert.js';
import { removePort } from '../port/remove.js';
import { placeRouter } from './place.js';

type Router = NetworkTables['router'];
type Port = NetworkTables['port'];
type Subnet = NetworkTables['subnet'];

/** By what an interface is named: exactly one when adding. */
export interface InterfaceRequest {
  readonly subnet_id?: string | undefined;
  readonly port_id?: string | undefined;
}

/** An interface as the API shows it after adding or removing. */
export interface RouterInterface {
  readonly port: Port;
  readonly subnetIds: readonly string[];
}

const OWNER = 'network:router_interface';

/** Connects a router to a subnet: by a new port with the subnet's gateway address, or by a given port. */
export async function addInterface(
  tx: Tx,
  app: App,
  ctx: Context,
  router: Router,
  request: InterfaceRequest,
): Promise<RouterInterface> {
  if (request.subnet_id && request.port_id) {
    throw badRequest('Bad router request: Cannot specify both subnet-id and port-id.', 'BadRequest');
  }
  // two interfaces added at once must see each other's subnets
  await app.store.lockFamily(tx, router.id, 'router');
  const port = request.port_id
    ? await addByPort(tx, ctx, router, request.port_id)
    : request.subnet_id
      ? await addBySubnet(tx, app, ctx, router, request.subnet_id)
      : fail('Bad router request: Either subnet_id or port_id must be specified.');
  await placeRouter(tx, app, router.id);
  const network = await findRow(tx, 'network', port.network_id);
  if (network) await ensureDhcpPort(tx, network);
  await recordInterface(tx, ctx, router, port);
  const addresses = await addressesOfPorts(tx, [port.id]);
  return { port, subnetIds: addresses.map((a) => a.subnet_id) };
}

/** Disconnects a router; refused while floating IPs or routes need the interface. */
export async function removeInterface(
  tx: Tx,
  app: App,
  ctx: Context,
  router: Router,
  request: InterfaceRequest,
): Promise<RouterInterface> {
  await app.store.lockFamily(tx, router.id, 'router');
  const { port, subnetIds } = await findInterface(tx, router, request);
  const leaving = request.subnet_id && !request.port_id ? [request.subnet_id] : subnetIds;
  for (const id of leaving) await checkNotNeeded(tx, router, id);
  const staying = (await addressesOfPorts(tx, [port.id])).filter((a) => !leaving.includes(a.subnet_id));
  if (staying.length > 0) {
    const addresses = await addressesOfPorts(tx, [port.id]);
    const dropped = addresses.filter((a) => leaving.includes(a.subnet_id)).map((a) => a.ip_address);
    await giveBackAddresses(tx, port, dropped);
  } else {
    await removePort(tx, port);
  }
  await recordInterface(tx, ctx, router, port);
  return { port, subnetIds: leaving };
}

/** Subnets that a router's ports of the given owners have addresses in. */
export async function connectedSubnets(
  tx: Tx,
  routerId: string,
  owners: readonly string[],
): Promise<Subnet[]> {
  const ports = (await portsOfDevice(tx, routerId)).filter((port) => owners.includes(port.device_owner));
  const addresses = await addressesOfPorts(
    tx,
    ports.map((port) => port.id),
  );
  return await findRows(tx, 'subnet', [...new Set(addresses.map((a) => a.subnet_id))]);
}

/** A router cannot tell overlapping blocks apart. */
export function checkNoOverlap(added: readonly Subnet[], existing: readonly Subnet[]): void {
  for (const subnet of added) {
    if (existing.some((other) => other.id === subnet.id)) {
      fail(`Bad router request: Router already has a port on subnet ${subnet.id}.`);
    }
    const clash = existing.find((other) => cidrsOverlap(other.cidr, subnet.cidr));
    if (clash) {
      fail(
        `Bad router request: Cidr ${subnet.cidr} of subnet ${subnet.id} overlaps with cidr ${clash.cidr} of subnet ${clash.id}.`,
      );
    }
  }
}

async function addBySubnet(tx: Tx, app: App, ctx: Context, router: Router, subnetId: string): Promise<Port> {
  const subnet = await findVisible(tx, ctx, 'subnet', subnetId, subnetNotFound);
  if (!subnet.gateway_ip) fail('Bad router request: Subnet for router interface must have a gateway IP.');
  // the subnet of a shared network has a gateway already, or gets it from its owner
  if (!owns(ctx, subnet)) {
    fail(
      `Bad router request: Cannot add interface to router because subnet ${subnet.id} is not owned by project making the request`,
    );
  }
  checkNoOverlap([subnet], await connectedSubnets(tx, router.id, [OWNER, 'network:router_gateway']));
  const network = (await findRow(tx, 'network', subnet.network_id))!;
  const subnets = await subnetsOfNetworks(tx, [network.id]);
  const wanted = [{ subnet_id: subnet.id, ip_address: subnet.gateway_ip! }];
  const shared = subnet.ip_version === 6 ? await ipv6Interface(tx, router, network.id) : null;
  if (shared) {
    const count = (await addressesOfPorts(tx, [shared.id])).length;
    await claimFixedIps(tx, shared, OWNER, subnets, wanted, count);
    return shared;
  }
  await claimNetworkQuota(app, tx, router.project_id, 'port');
  return await insertPort(tx, network, subnets, {
    project_id: router.project_id,
    device_id: router.id,
    device_owner: OWNER,
    port_security_enabled: 0,
    fixed_ips: wanted,
  });
}

/** The router's port on a network that has IPv6 addresses only: it serves all IPv6 subnets of the network. */
async function ipv6Interface(tx: Tx, router: Router, networkId: string): Promise<Port | null> {
  for (const port of await portsOfDevice(tx, router.id)) {
    if (port.network_id !== networkId || port.device_owner !== OWNER) continue;
    const addresses = await addressesOfPorts(tx, [port.id]);
    if (addresses.every((a) => a.ip_address.includes(':'))) return port;
  }
  return null;
}

async function addByPort(tx: Tx, ctx: Context, router: Router, portId: string): Promise<Port> {
  const port = await findVisible(tx, ctx, 'port', portId, portNotFound);
  if (port.device_id !== '') {
    throw conflict(
      `Unable to complete operation on port ${port.id} for network ${port.network_id}. Port already has an attached device ${port.device_id}.`,
      'PortInUse',
    );
  }
  const addresses = await addressesOfPorts(tx, [port.id]);
  if (addresses.length === 0) fail('Bad router request: Router port must have at least one fixed IP.');
  const subnets = await findRows(tx, 'subnet', [...new Set(addresses.map((a) => a.subnet_id))]);
  if (subnets.filter((subnet) => subnet.ip_version === 4).length > 1) {
    fail('Bad router request: Cannot have multiple IPv4 subnets on router port.');
  }
  checkNoOverlap(subnets, await connectedSubnets(tx, router.id, [OWNER, 'network:router_gateway']));
  const updated = await updateRow(tx, 'port', port.id, { device_id: router.id, device_owner: OWNER });
  return updated ?? port;
}

async function findInterface(tx: Tx, router: Router, request: InterfaceRequest): Promise<RouterInterface> {
  const ports = (await portsOfDevice(tx, router.id)).filter((port) => port.device_owner === OWNER);
  for (const port of ports) {
    if (request.port_id && port.id !== request.port_id) continue;
    const subnetIds = (await addressesOfPorts(tx, [port.id])).map((a) => a.subnet_id);
    if (request.subnet_id && !subnetIds.includes(request.subnet_id)) {
      if (!request.port_id) continue;
      throw badRequest(
        `Subnet on port ${port.id} does not match the requested subnet ${request.subnet_id}.`,
        'SubnetMismatchForPort',
      );
    }
    if (!request.port_id && !request.subnet_id) break;
    return { port, subnetIds };
  }
  if (request.port_id) {
    throw notFound(
      `Router ${router.id} does not have an interface with id ${request.port_id}`,
      'RouterInterfaceNotFound',
    );
  }
  if (request.subnet_id) {
    throw notFound(
      `Router ${router.id} has no interface on subnet ${request.subnet_id}`,
      'RouterInterfaceNotFoundForSubnet',
    );
  }
  return fail('Bad router request: Either subnet_id or port_id must be specified.');
}

async function checkNotNeeded(tx: Tx, router: Router, subnetId: string): Promise<void> {
  const [subnet] = await findRows(tx, 'subnet', [subnetId]);
  if (!subnet) return;
  const floating = await floatingIpsOfRouter(tx, router.id);
  if (floating.some((f) => f.fixed_ip_address && cidrsOverlap(subnet.cidr, f.fixed_ip_address))) {
    throw conflict(
      `Router interface for subnet ${subnetId} on router ${router.id} cannot be deleted, as it is required by one or more floating IPs.`,
      'RouterInterfaceInUseByFloatingIP',
    );
  }
  const routes = JSON.parse(router.routes) as { nexthop: string }[];
  if (routes.some((route) => contains(subnet.cidr, route.nexthop))) {
    throw conflict(
      `Router interface for subnet ${subnetId} on router ${router.id} cannot be deleted, as it is required by one or more routes.`,
      'RouterInterfaceInUseByRoute',
    );
  }
}

function contains(cidr: string, ip: string): boolean {
  return parseCidr(cidr).version === parseCidr(ip).version && cidrsOverlap(cidr, ip);
}

async function recordInterface(tx: Tx, ctx: Context, router: Router, port: Port): Promise<void> {
  await recordChange(tx, 'router', router.id, ctx.requestId);
  await recordChange(tx, 'network', port.network_id, ctx.requestId);
  await recordChange(tx, 'port', port.id, ctx.requestId);
}

function fail(message: string): never {
  throw badRequest(message, 'BadRequest');
}
