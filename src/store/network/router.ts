import { oneOf } from '../one-of.js';
import type { Reader } from '../store.js';
import type { NetworkTables } from '../tables/network.js';

type FloatingIp = NetworkTables['floating_ip'];
type Port = NetworkTables['port'];

/** Ports by which routers are connected to tenant networks. */
export async function interfacesOfRouters(db: Reader, routerIds: readonly string[]): Promise<Port[]> {
  if (routerIds.length === 0) return [];
  return await db
    .selectFrom('port')
    .selectAll()
    .where('device_id', 'in', [...routerIds])
    .where('device_owner', '=', 'network:router_interface')
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** Routers with an interface in a subnet: what a floating IP of a port there can go through. */
export async function routersOfSubnet(db: Reader, subnetId: string) {
  return await db
    .selectFrom('ip_allocation as a')
    .innerJoin('port as p', 'p.id', 'a.port_id')
    .innerJoin('router as r', 'r.id', 'p.device_id')
    .selectAll('r')
    .select('a.ip_address as interface_ip')
    .where('a.subnet_id', '=', subnetId)
    .where('p.device_owner', '=', 'network:router_interface')
    .orderBy('r.created_at')
    .execute();
}

export async function floatingIpsOfRouter(db: Reader, routerId: string): Promise<FloatingIp[]> {
  return await db.selectFrom('floating_ip').selectAll().where('router_id', '=', routerId).execute();
}

export async function floatingIpsOfPort(db: Reader, portId: string): Promise<FloatingIp[]> {
  return await db.selectFrom('floating_ip').selectAll().where('fixed_port_id', '=', portId).execute();
}

export async function floatingIpsOfPorts(db: Reader, portIds: readonly string[]): Promise<FloatingIp[]> {
  if (portIds.length === 0) return [];
  return await db
    .selectFrom('floating_ip')
    .selectAll()
    .where(oneOf(db, 'fixed_port_id', portIds))
    .execute();
}

export async function floatingIpsOfNetwork(db: Reader, networkId: string): Promise<FloatingIp[]> {
  return await db
    .selectFrom('floating_ip')
    .selectAll()
    .where('floating_network_id', '=', networkId)
    .execute();
}
