import { randomUUID } from 'node:crypto';
import { addressesOfPorts } from '../../store/network/address.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import { floatingIpsOfPort, routersOfSubnet } from '../../store/network/router.js';
import { findRow, insertRow, updateRow } from '../../store/network/rows.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { IpAllocationTable, NetworkTables } from '../../store/tables/network.js';
import { holdFloatingIp } from '../address/give-back.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, MaruError, notFound } from '../errors.js';
import { findVisible } from '../network/access.js';
import { addressesExhausted, networkNotFound, portNotFound } from '../network/problems.js';
import { claimNetworkQuota } from '../network/quota.js';
import { insertPort } from '../port/insert.js';
import { disassociate } from './disassociate.js';

type FloatingIp = NetworkTables['floating_ip'];
type Network = NetworkTables['network'];
type Port = NetworkTables['port'];
type Subnet = NetworkTables['subnet'];

export interface FloatingIpAttributes {
  readonly project_id: string;
  readonly description: string;
  readonly floating_network_id: string;
  readonly subnet_id?: string | null;
  readonly floating_ip_address?: string | null;
  readonly port_id?: string | null;
  readonly fixed_ip_address?: string | null;
  readonly dns_name: string;
  readonly dns_domain: string;
}

/** Takes an address of an external network, at random unless one is named, and perhaps associates it at once. */
export async function createFloatingIp(
  tx: Tx,
  app: App,
  ctx: Context,
  given: FloatingIpAttributes,
): Promise<FloatingIp> {
  const network = await findVisible(tx, ctx, 'network', given.floating_network_id, networkNotFound);
  if (!network.external) {
    throw bad(`Network ${network.id} is not a valid external network.`);
  }
  await claimNetworkQuota(app, tx, given.project_id, 'floatingip');
  const id = randomUUID();
  const { port, address } = await takeAddress(tx, network, id, given);
  const floating = await insertRow(tx, 'floating_ip', {
    id,
    project_id: given.project_id,
    description: given.description,
    floating_network_id: network.id,
    floating_ip_address: address,
    floating_port_id: port.id,
    fixed_port_id: null,
    fixed_ip_address: null,
    router_id: null,
    status: 'DOWN',
    dns_name: given.dns_name,
    dns_domain: given.dns_domain,
  });
  if (!floating) throw new MaruError('conflict', `Floating IP address ${address} is in use.`);
  await recordChange(tx, 'floating-ip', id, ctx.requestId);
  if (!given.port_id) {
    if (given.fixed_ip_address) throw bad('fixed_ip_address cannot be specified without a port_id');
    return floating;
  }
  return await associate(tx, app, ctx, floating, given.port_id, given.fixed_ip_address ?? null);
}

/** Changes description and association; a null port takes the association away. */
export async function updateFloatingIp(
  tx: Tx,
  app: App,
  ctx: Context,
  floating: FloatingIp,
  changes: Partial<FloatingIpAttributes>,
): Promise<FloatingIp> {
  const { description, port_id, fixed_ip_address } = changes;
  if (description !== undefined) await updateRow(tx, 'floating_ip', floating.id, { description });
  if (port_id === undefined) {
    if (fixed_ip_address) throw bad('fixed_ip_address cannot be specified without a port_id');
  } else if (port_id === null) {
    await disassociate(tx, floating);
    await recordAssociation(tx, ctx, floating);
  } else {
    await associate(tx, app, ctx, floating, port_id, fixed_ip_address ?? null);
  }
  return (await findRow(tx, 'floating_ip', floating.id))!;
}

async function associate(
  tx: Tx,
  app: App,
  ctx: Context,
  floating: FloatingIp,
  portId: string,
  wanted: string | null,
): Promise<FloatingIp> {
  const port = await findVisible(tx, ctx, 'port', portId, portNotFound);
  if (port.project_id !== floating.project_id && !ctx.isAdmin) {
    throw bad(
      `Port ${port.id} is associated with a different tenant than Floating IP ${floating.id} and therefore cannot be bound.`,
    );
  }
  // two floating IPs for one fixed address must see each other
  await app.store.lockFamily(tx, port.id, 'port');
  const fixed = await chooseFixed(tx, port, wanted);
  const other = (await floatingIpsOfPort(tx, port.id)).find(
    (f) => f.fixed_ip_address === fixed.ip_address && f.id !== floating.id,
  );
  if (other) {
    throw conflict(
      `Cannot associate floating IP ${floating.floating_ip_address} (${floating.id}) with port ${port.id} using fixed IP ${fixed.ip_address}, as that fixed IP already has a floating IP on external network ${floating.floating_network_id}.`,
      'FloatingIPPortAlreadyAssociated',
    );
  }
  const router_id = await chooseRouter(tx, floating, port, fixed);
  if (router_id !== floating.router_id) await holdFloatingIp(tx, floating);
  const updated = await updateRow(tx, 'floating_ip', floating.id, {
    fixed_port_id: port.id,
    fixed_ip_address: fixed.ip_address,
    router_id,
    status: 'ACTIVE',
  });
  await recordAssociation(tx, ctx, floating);
  await recordAssociation(tx, ctx, updated!);
  return updated!;
}

/** The fixed address that a floating IP leads to: the one named, or the port's only IPv4 address. */
async function chooseFixed(tx: Tx, port: Port, wanted: string | null): Promise<IpAllocationTable> {
  const addresses = (await addressesOfPorts(tx, [port.id])).filter((a) => !a.ip_address.includes(':'));
  if (wanted !== null) {
    const found = addresses.find((a) => a.ip_address === wanted);
    if (!found) throw bad(`Port ${port.id} does not have fixed ip ${wanted}.`);
    return found;
  }
  const [first, second] = addresses;
  if (!first) throw bad(`Cannot add floating IP to port ${port.id} that has no fixed IPv4 addresses.`);
  if (second) {
    throw bad(
      `Port ${port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP`,
    );
  }
  return first;
}

/** The router that translates: one of the fixed address's subnet with a gateway in the floating IP's network. */
async function chooseRouter(
  tx: Tx,
  floating: FloatingIp,
  port: Port,
  fixed: IpAllocationTable,
): Promise<string> {
  const routers = await routersOfSubnet(tx, fixed.subnet_id);
  const usable = routers.filter((router) => router.gateway_network_id === floating.floating_network_id);
  const subnet = await findRow(tx, 'subnet', fixed.subnet_id);
  // guests answer through their default gateway, so the router that has that address is the right one
  const router = usable.find((r) => r.interface_ip === subnet?.gateway_ip) ?? usable[0];
  if (!router) {
    throw notFound(
      `External network ${floating.floating_network_id} is not reachable from subnet ${fixed.subnet_id}.  Therefore, cannot associate Port ${port.id} with a Floating IP.`,
      'ExternalGatewayForFloatingIPNotFound',
    );
  }
  return router.id;
}

async function takeAddress(
  tx: Tx,
  network: Network,
  floatingId: string,
  given: FloatingIpAttributes,
): Promise<{ port: Port; address: string }> {
  const subnets = (await subnetsOfNetworks(tx, [network.id])).filter((subnet) => subnet.ip_version === 4);
  if (subnets.length === 0) throw bad(`Network ${network.id} does not contain any IPv4 subnet`);
  const request = {
    ...(given.subnet_id ? { subnet_id: given.subnet_id } : {}),
    ...(given.floating_ip_address ? { ip_address: given.floating_ip_address } : {}),
  };
  const chosen = Object.keys(request).length > 0 ? [request] : undefined;
  const port = await insertPort(tx, network, subnets as Subnet[], {
    project_id: '',
    device_id: floatingId,
    device_owner: 'network:floatingip',
    status: 'N/A',
    port_security_enabled: 0,
    fixed_ips: chosen,
  });
  const [address] = await addressesOfPorts(tx, [port.id]);
  if (!address) throw addressesExhausted(network.id);
  return { port, address: address.ip_address };
}

async function recordAssociation(tx: Tx, ctx: Context, floating: FloatingIp): Promise<void> {
  await recordChange(tx, 'floating-ip', floating.id, ctx.requestId);
  if (floating.router_id) await recordChange(tx, 'router', floating.router_id, ctx.requestId);
  if (floating.fixed_port_id) await recordChange(tx, 'port', floating.fixed_port_id, ctx.requestId);
}

function bad(message: string): MaruError {
  return badRequest(`Bad floatingip request: ${message}`, 'BadRequest');
}
