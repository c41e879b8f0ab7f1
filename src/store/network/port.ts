import { oneOf } from '../one-of.js';
import { nowText, type Reader, type Tx } from '../store.js';
import type { NetworkTables } from '../tables/network.js';

type Port = NetworkTables['port'];

export async function portsOfNetwork(db: Reader, networkId: string): Promise<Port[]> {
  return await db.selectFrom('port').selectAll().where('network_id', '=', networkId).execute();
}

/** Ports of a device (server, router …), oldest first. */
export async function portsOfDevice(db: Reader, deviceId: string): Promise<Port[]> {
  return await db
    .selectFrom('port')
    .selectAll()
    .where('device_id', '=', deviceId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** Ports plugged into a server, in the order of its interfaces. */
export async function portsOfServer(db: Reader, serverId: string): Promise<Port[]> {
  return await db
    .selectFrom('port')
    .selectAll()
    .where('server_id', '=', serverId)
    .orderBy('device_index')
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

export async function dhcpPort(db: Reader, networkId: string): Promise<Port | null> {
  const row = await db
    .selectFrom('port')
    .selectAll()
    .where('network_id', '=', networkId)
    .where('device_owner', '=', 'network:dhcp')
    .executeTakeFirst();
  return row ?? null;
}

/** What quotas count: ports that a project made, not those that the service made in its networks. */
export async function countPorts(db: Reader, projectId: string): Promise<number> {
  const row = await db
    .selectFrom('port')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('project_id', '=', projectId)
    .where('device_owner', '!=', 'network:dhcp')
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

/** Bindings of ports, active first. */
export async function bindingsOfPorts(db: Reader, portIds: readonly string[]) {
  if (portIds.length === 0) return [];
  return await db
    .selectFrom('port_binding')
    .selectAll()
    .where(oneOf(db, 'port_id', portIds))
    .orderBy('status')
    .execute();
}

/** Makes a host the only one that a port is bound to. */
export async function setBinding(tx: Tx, portId: string, hostId: string | null): Promise<void> {
  await tx.deleteFrom('port_binding').where('port_id', '=', portId).execute();
  if (hostId === null) return;
  await tx
    .insertInto('port_binding')
    .values({ port_id: portId, host_id: hostId, status: 'active', created_at: nowText() })
    .execute();
}

export async function groupsOfPorts(db: Reader, portIds: readonly string[]) {
  if (portIds.length === 0) return [];
  return await db
    .selectFrom('port_security_group')
    .selectAll()
    .where(oneOf(db, 'port_id', portIds))
    .orderBy('security_group_id')
    .execute();
}

export async function setPortGroups(tx: Tx, portId: string, groupIds: readonly string[]): Promise<void> {
  await tx.deleteFrom('port_security_group').where('port_id', '=', portId).execute();
  if (groupIds.length === 0) return;
  await tx
    .insertInto('port_security_group')
    .values(groupIds.map((security_group_id) => ({ port_id: portId, security_group_id })))
    .execute();
}

/** True when a port of a server, or a router's, makes the network live on some host. */
export async function networkIsPlaced(db: Reader, networkId: string): Promise<boolean> {
  const bound = await db
    .selectFrom('port_binding as b')
    .innerJoin('port as p', 'p.id', 'b.port_id')
    .select('b.port_id')
    .where('p.network_id', '=', networkId)
    .executeTakeFirst();
  return bound !== undefined;
}

/** Ports of servers, each with its network's name: what a list of servers shows, in one query. */
export async function serverPortRows(db: Reader, serverIds: readonly string[]) {
  if (serverIds.length === 0) return [];
  return await db
    .selectFrom('port as p')
    .innerJoin('network as n', 'n.id', 'p.network_id')
    .leftJoin('ip_allocation as a', 'a.port_id', 'p.id')
    .leftJoin('subnet as s', 's.id', 'a.subnet_id')
    .leftJoin('floating_ip as f', (join) =>
      join.onRef('f.fixed_port_id', '=', 'p.id').onRef('f.fixed_ip_address', '=', 'a.ip_address'),
    )
    .select([
      'p.id as port_id',
      'p.server_id',
      'p.network_id',
      'n.name as network_name',
      'n.mtu',
      'p.mac_address',
      'p.status',
      'p.port_security_enabled',
      'a.ip_address',
      'a.subnet_id',
      's.ip_version',
      's.cidr',
      's.gateway_ip',
      's.enable_dhcp',
      's.ipv6_ra_mode',
      's.ipv6_address_mode',
      's.dns_nameservers',
      's.host_routes',
      'f.floating_ip_address',
    ])
    .where(oneOf(db, 'p.server_id', serverIds))
    .orderBy('p.device_index')
    .orderBy('p.created_at')
    .orderBy('p.id')
    .orderBy('a.position')
    .$narrowType<{ server_id: string }>()
    .execute();
}

/** Security groups of servers' ports: (server, group). */
export async function serverGroupRows(db: Reader, serverIds: readonly string[]) {
  if (serverIds.length === 0) return [];
  return await db
    .selectFrom('port as p')
    .innerJoin('port_security_group as pg', 'pg.port_id', 'p.id')
    .innerJoin('security_group as g', 'g.id', 'pg.security_group_id')
    .select(['p.server_id', 'p.id as port_id', 'g.id', 'g.name'])
    .distinct()
    .where(oneOf(db, 'p.server_id', serverIds))
    .orderBy('g.name')
    .$narrowType<{ server_id: string }>()
    .execute();
}

/** What hosts see of ports: sets the status of those that differ, leaving revisions alone. */
export async function setPortStatus(
  tx: Tx,
  portIds: readonly string[],
  status: 'ACTIVE' | 'DOWN',
): Promise<void> {
  if (portIds.length === 0) return;
  let query = tx
    .updateTable('port')
    .set({ status })
    .where('id', 'in', [...portIds])
    .where('status', '!=', status);
  if (status === 'ACTIVE') query = query.where('admin_state_up', '=', 1);
  await query.execute();
}
