import { type SqlBool, sql } from 'kysely';
import { oneOf } from '../one-of.js';
import type { Reader } from '../store.js';
import type { NetworkTables } from '../tables/network.js';

type Port = NetworkTables['port'];

/** Guests' ports bound to hosts, each with its host. */
export async function guestPorts(db: Reader, hostIds: readonly string[]) {
  return await db
    .selectFrom('port as p')
    .innerJoin('port_binding as b', 'b.port_id', 'p.id')
    .selectAll('p')
    .select('b.host_id')
    .where(oneOf(db, 'b.host_id', hostIds))
    .where('p.server_id', 'is not', null)
    .orderBy('p.id')
    .execute();
}

/** The DHCP ports of networks. */
export async function dhcpPorts(db: Reader, networkIds: readonly string[]): Promise<Port[]> {
  if (networkIds.length === 0) return [];
  return await db
    .selectFrom('port')
    .selectAll()
    .where('device_owner', '=', 'network:dhcp')
    .where(oneOf(db, 'network_id', networkIds))
    .execute();
}

/** Addresses of ports with the block each is from. */
export async function addressesWithSubnets(db: Reader, portIds: readonly string[]) {
  if (portIds.length === 0) return [];
  return await db
    .selectFrom('ip_allocation as a')
    .innerJoin('subnet as s', 's.id', 'a.subnet_id')
    .select(['a.port_id', 'a.ip_address', 'a.subnet_id', 's.cidr', 's.gateway_ip', 's.ip_version'])
    .where(oneOf(db, 'a.port_id', portIds))
    .orderBy('a.position')
    .orderBy('a.ip_address')
    .execute();
}

/** MACs of guests' and routers' ports on networks, with the tunnel endpoint of the host that each is on. */
export async function endpoints(db: Reader, networkIds: readonly string[]) {
  if (networkIds.length === 0) return [];
  const guests = db
    .selectFrom('port as p')
    .innerJoin('port_binding as b', 'b.port_id', 'p.id')
    .innerJoin('host as h', 'h.id', 'b.host_id')
    .select(['p.network_id', 'p.mac_address', 'h.id as host_id', 'h.underlay_ip'])
    .where('b.status', '=', 'active')
    .where('p.server_id', 'is not', null)
    .where(oneOf(db, 'p.network_id', networkIds));
  const routers = db
    .selectFrom('port as p')
    .innerJoin('router as r', 'r.id', 'p.device_id')
    .innerJoin('host as h', 'h.id', 'r.host_id')
    .select(['p.network_id', 'p.mac_address', 'h.id as host_id', 'h.underlay_ip'])
    .where('p.device_owner', 'in', ['network:router_interface', 'network:router_gateway'])
    // while a router moves, frames to it are flooded: its next host gets them as soon as it is there
    .where(STAYS)
    .where(oneOf(db, 'p.network_id', networkIds));
  return await guests.union(routers).execute();
}

/** Tunnel endpoints of hosts. */
export async function underlayAddresses(
  db: Reader,
  hostIds: readonly string[],
): Promise<Map<string, string>> {
  if (hostIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('host')
    .select(['id', 'underlay_ip'])
    .where(oneOf(db, 'id', hostIds))
    .execute();
  return new Map(rows.map((row) => [row.id, row.underlay_ip]));
}

/** Routers placed on hosts, but for those that they have to give up. */
export async function routersOfHosts(db: Reader, hostIds: readonly string[]) {
  return await db
    .selectFrom('router as r')
    .selectAll('r')
    .where(oneOf(db, 'r.host_id', hostIds))
    .where(STAYS)
    .orderBy('r.id')
    .$narrowType<{ host_id: string }>()
    .execute();
}

/** Routers that hosts have to give up. */
export async function withdrawalsOfHosts(db: Reader, hostIds: readonly string[]) {
  return await db
    .selectFrom('router_withdrawal')
    .select(['router_id', 'host_id', 'epoch'])
    .where(oneOf(db, 'host_id', hostIds))
    .orderBy('router_id')
    .execute();
}

/** That the router `r` stays on the host that it is on. */
const STAYS = sql<SqlBool>`not exists (
  select 1 from router_withdrawal as w where w.router_id = r.id and w.host_id = r.host_id)`;

/** Ports that connect routers, each with its network's MTU. */
export async function routerPorts(db: Reader, routerIds: readonly string[]) {
  if (routerIds.length === 0) return [];
  return await db
    .selectFrom('port as p')
    .innerJoin('network as n', 'n.id', 'p.network_id')
    .selectAll('p')
    .select('n.mtu')
    .where(oneOf(db, 'p.device_id', routerIds))
    .where('p.device_owner', 'in', ['network:router_interface', 'network:router_gateway'])
    .orderBy('p.id')
    .execute();
}

/** Associated floating IPs of routers. */
export async function routedFloatingIps(db: Reader, routerIds: readonly string[]) {
  if (routerIds.length === 0) return [];
  return await db
    .selectFrom('floating_ip')
    .selectAll()
    .where(oneOf(db, 'router_id', routerIds))
    .where('fixed_port_id', 'is not', null)
    .orderBy('id')
    .execute();
}

/** Networks that routers join to each of the given ones: (network, its neighbour). */
export async function neighbourNetworks(db: Reader, networkIds: readonly string[]) {
  if (networkIds.length === 0) return [];
  return await db
    .selectFrom('port as here')
    .innerJoin('port as there', 'there.device_id', 'here.device_id')
    .select(['here.network_id', 'there.network_id as neighbour_id'])
    .distinct()
    .where('here.device_owner', '=', 'network:router_interface')
    .where('there.device_owner', '=', 'network:router_interface')
    .where(oneOf(db, 'here.network_id', networkIds))
    .execute();
}

/** Guests' ports in groups, with their addresses: (group, port, network, address). */
export async function groupMembers(db: Reader, groupIds: readonly string[]) {
  if (groupIds.length === 0) return [];
  return await db
    .selectFrom('port_security_group as pg')
    .innerJoin('port as p', 'p.id', 'pg.port_id')
    .leftJoin('ip_allocation as a', 'a.port_id', 'p.id')
    .select(['pg.security_group_id', 'p.id', 'p.network_id', 'p.allowed_address_pairs', 'a.ip_address'])
    .where(oneOf(db, 'pg.security_group_id', groupIds))
    .execute();
}
