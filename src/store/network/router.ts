import { sql } from 'kysely';
import type { Reader, Tx } from '../store.js';
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
    .where('fixed_port_id', 'in', [...portIds])
    .execute();
}

/** Routers that no host runs yet. */
export async function unplacedRouters(db: Reader): Promise<string[]> {
  const rows = await db
    .selectFrom('router')
    .select('id')
    .where('host_id', 'is', null)
    .orderBy('created_at')
    .execute();
  return rows.map((row) => row.id);
}

/** Enabled hosts that offer a provider network (any host when null), those with fewest routers first. */
export async function hostsForRouter(db: Reader, physicalNetwork: string | null): Promise<string[]> {
  let query = db
    .selectFrom('host as h')
    .leftJoin('router as r', 'r.host_id', 'h.id')
    .select(['h.id', sql<number>`count(r.id)`.as('routers')])
    .where('h.enabled', '=', 1)
    .groupBy('h.id')
    .orderBy('routers')
    .orderBy('h.id');
  if (physicalNetwork !== null) {
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom('host_physical_network as pn')
          .select('pn.host_id')
          .whereRef('pn.host_id', '=', 'h.id')
          .where('pn.physical_network', '=', physicalNetwork),
      ),
    );
  }
  return (await query.execute()).map((row) => row.id);
}

export async function hostOffers(db: Reader, hostId: string, physicalNetwork: string): Promise<boolean> {
  const row = await db
    .selectFrom('host_physical_network')
    .select('host_id')
    .where('host_id', '=', hostId)
    .where('physical_network', '=', physicalNetwork)
    .executeTakeFirst();
  return row !== undefined;
}

/** Gives a router to a host, if nobody took it meanwhile. */
export async function claimRouter(
  tx: Tx,
  routerId: string,
  from: string | null,
  hostId: string,
): Promise<boolean> {
  let query = tx
    .updateTable('router')
    .set({ host_id: hostId, host_epoch: sql<number>`host_epoch + 1` })
    .where('id', '=', routerId);
  query = from === null ? query.where('host_id', 'is', null) : query.where('host_id', '=', from);
  return (await query.executeTakeFirst()).numUpdatedRows > 0n;
}

export async function floatingIpsOfNetwork(db: Reader, networkId: string): Promise<FloatingIp[]> {
  return await db
    .selectFrom('floating_ip')
    .selectAll()
    .where('floating_network_id', '=', networkId)
    .execute();
}
