import { randomUUID } from 'node:crypto';
import { normaliseCidr } from '../../net/cidr.js';
import type { IpRange } from '../../net/range.js';
import { allocationsOfSubnet } from '../../store/network/address.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import { portsOfNetwork } from '../../store/network/port.js';
import { deleteRow, findRow, insertRow, updateRow } from '../../store/network/rows.js';
import { deleteTags } from '../../store/network/tag.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { drawAddress, isAutoAddressed, poolsOf } from '../address/draw.js';
import { giveBackAddresses } from '../address/give-back.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, forbidden, MaruError } from '../errors.js';
import { findVisible, owns } from '../network/access.js';
import { flag } from '../network/network.js';
import { networkNotFound, notAllowedOnNetwork, subnetInUse } from '../network/problems.js';
import { claimNetworkQuota } from '../network/quota.js';
import { recordPortChange } from '../port/changes.js';
import { updateDhcpPort } from '../port/dhcp-port.js';
import {
  checkCidr,
  checkGateway,
  checkGatewayOutsidePools,
  checkHostRoutes,
  checkIpv6Modes,
  checkNameservers,
  checkOverlap,
  chooseGateway,
  choosePools,
  type Ipv6Mode,
} from './rules.js';

type Subnet = NetworkTables['subnet'];

/** A subnet's attributes as the API names them; what may be chosen for the caller is optional. */
export interface SubnetAttributes {
  readonly project_id: string;
  readonly network_id: string;
  readonly name: string;
  readonly description: string;
  readonly ip_version: 4 | 6;
  readonly cidr?: string | null;
  readonly gateway_ip?: string | null;
  readonly allocation_pools?: readonly IpRange[];
  readonly dns_nameservers: readonly string[];
  readonly host_routes: readonly { destination: string; nexthop: string }[];
  readonly enable_dhcp: boolean;
  readonly ipv6_ra_mode?: Ipv6Mode | null;
  readonly ipv6_address_mode?: Ipv6Mode | null;
  readonly service_types: readonly string[];
}

/** Creates a subnet that overlaps no other of its network. */
export async function createSubnet(tx: Tx, app: App, ctx: Context, given: SubnetAttributes): Promise<Subnet> {
  const network = await findVisible(tx, ctx, 'network', given.network_id, networkNotFound);
  if (!owns(ctx, network)) {
    throw network.shared
      ? forbidden('rule:create_subnet is disallowed by policy', 'PolicyNotAuthorized')
      : notAllowedOnNetwork(given.project_id, 'subnet');
  }
  if (!given.cidr) {
    throw badRequest(
      'Bad subnets request: a subnetpool must be specified in the absence of a cidr.',
      'BadRequest',
    );
  }
  checkCidr(given.cidr, given.ip_version);
  const cidr = normaliseCidr(given.cidr);
  const ra = given.ipv6_ra_mode ?? null;
  const address = given.ipv6_address_mode ?? null;
  checkIpv6Modes(cidr, given.ip_version, given.enable_dhcp, ra, address);
  const gateway_ip = chooseGateway(cidr, given.gateway_ip);
  checkGateway(cidr, gateway_ip);
  const pools = choosePools(cidr, gateway_ip, given.allocation_pools);
  checkNameservers(given.dns_nameservers);
  checkHostRoutes(given.host_routes, given.ip_version);
  // parallel creations must see each other's blocks
  await app.store.lockFamily(tx, network.id, 'subnet');
  await claimNetworkQuota(app, tx, given.project_id, 'subnet');
  checkOverlap(network.id, cidr, await subnetsOfNetworks(tx, [network.id]));
  const subnet = await insertRow(tx, 'subnet', {
    id: randomUUID(),
    project_id: given.project_id,
    network_id: network.id,
    name: given.name,
    description: given.description,
    ip_version: given.ip_version,
    cidr,
    gateway_ip,
    enable_dhcp: given.enable_dhcp ? 1 : 0,
    ipv6_ra_mode: ra,
    ipv6_address_mode: address,
    allocation_pools: JSON.stringify(pools),
    dns_nameservers: JSON.stringify(given.dns_nameservers),
    host_routes: JSON.stringify(given.host_routes),
    service_types: JSON.stringify(given.service_types),
  });
  if (!subnet) throw new MaruError('conflict', 'The subnet was created by a parallel request.');
  if (isAutoAddressed(subnet)) await addressExistingPorts(tx, subnet);
  await finish(tx, ctx, subnet);
  return subnet;
}

/** Changes a subnet; its block and IPv6 modes stay. */
export async function updateSubnet(
  tx: Tx,
  ctx: Context,
  subnet: Subnet,
  changes: Partial<SubnetAttributes>,
): Promise<Subnet> {
  const gateway = changes.gateway_ip === undefined ? subnet.gateway_ip : changes.gateway_ip;
  const dhcp = changes.enable_dhcp ?? subnet.enable_dhcp === 1;
  checkIpv6Modes(subnet.cidr, subnet.ip_version, dhcp, subnet.ipv6_ra_mode, subnet.ipv6_address_mode);
  if (changes.allocation_pools) choosePools(subnet.cidr, gateway, changes.allocation_pools);
  if (changes.gateway_ip !== undefined && gateway !== subnet.gateway_ip) {
    checkGateway(subnet.cidr, gateway);
    if (!changes.allocation_pools) checkGatewayOutsidePools(gateway, poolsOf(subnet));
    await checkGatewayUnused(tx, subnet);
  }
  if (changes.dns_nameservers) checkNameservers(changes.dns_nameservers);
  if (changes.host_routes) checkHostRoutes(changes.host_routes, subnet.ip_version);
  const updated = await updateRow(tx, 'subnet', subnet.id, {
    ...(changes.name === undefined ? {} : { name: changes.name }),
    ...(changes.description === undefined ? {} : { description: changes.description }),
    gateway_ip: gateway,
    ...flag('enable_dhcp', changes.enable_dhcp),
    ...json('allocation_pools', changes.allocation_pools),
    ...json('dns_nameservers', changes.dns_nameservers),
    ...json('host_routes', changes.host_routes),
    ...json('service_types', changes.service_types),
  });
  await finish(tx, ctx, subnet);
  return updated ?? subnet;
}

/** Deletes a subnet; refused while ports have addresses in it that they cannot simply lose. */
export async function deleteSubnet(tx: Tx, app: App, ctx: Context, subnet: Subnet): Promise<void> {
  await app.store.lockFamily(tx, subnet.network_id, 'subnet');
  const allocations = await allocationsOfSubnet(tx, subnet.id);
  for (const { port_id, ip_address, device_owner } of allocations) {
    if (port_id === null) continue;
    const loses =
      device_owner === 'network:dhcp' || (isAutoAddressed(subnet) && !device_owner?.startsWith('network:'));
    if (!loses) throw subnetInUse(subnet.id);
    const port = await findRow(tx, 'port', port_id);
    if (!port) continue;
    await giveBackAddresses(tx, port, [ip_address]);
    await recordPortChange(tx, port);
  }
  await deleteTags(tx, [subnet.id]);
  await deleteRow(tx, 'subnet', subnet.id);
  await finish(tx, ctx, subnet);
}

/** Guests that are there already make themselves an address as soon as the prefix is announced: write it down. */
async function addressExistingPorts(tx: Tx, subnet: Subnet): Promise<void> {
  for (const port of await portsOfNetwork(tx, subnet.network_id)) {
    if (port.device_owner.startsWith('network:')) continue;
    await drawAddress(tx, subnet, port, 100);
    await recordPortChange(tx, port);
  }
}

async function checkGatewayUnused(tx: Tx, subnet: Subnet): Promise<void> {
  if (subnet.gateway_ip === null) return;
  const allocations = await allocationsOfSubnet(tx, subnet.id);
  const user = allocations.find(
    (a) => a.ip_address === subnet.gateway_ip && a.device_owner?.startsWith('network:router_interface'),
  );
  if (user) {
    throw conflict(
      `Current gateway ip ${subnet.gateway_ip} already in use by port ${user.port_id}. Unable to update.`,
      'GatewayIpInUse',
    );
  }
}

async function finish(tx: Tx, ctx: Context, subnet: Subnet): Promise<void> {
  await updateDhcpPort(tx, subnet.network_id);
  await recordChange(tx, 'subnet', subnet.id, ctx.requestId);
  await recordChange(tx, 'network', subnet.network_id, ctx.requestId);
}

function json<K extends string>(column: K, value: unknown): { [P in K]?: string } {
  return value === undefined ? {} : ({ [column]: JSON.stringify(value) } as { [P in K]?: string });
}
