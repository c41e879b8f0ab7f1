import type { Reader } from '../store.js';

/** The host that a server is on. */
export async function hostOfServer(db: Reader, id: string): Promise<string[]> {
  const row = await db.selectFrom('server').select('host_id').where('id', '=', id).executeTakeFirst();
  return row?.host_id ? [row.host_id] : [];
}

/** Hosts of the servers that have a port: by the port's own id, or its network's. */
export async function hostsOfServerPort(
  db: Reader,
  column: 'port.id' | 'port.network_id',
  value: string,
): Promise<string[]> {
  const rows = await db
    .selectFrom('port')
    .innerJoin('server', 'server.id', 'port.server_id')
    .select('server.host_id')
    .distinct()
    .where(column, '=', value)
    .where('server.host_id', 'is not', null)
    .execute();
  return rows.map((row) => row.host_id!);
}

/** Hosts of the servers with an address of a subnet. */
export async function hostsOfServerSubnet(db: Reader, subnetId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('ip_allocation')
    .innerJoin('port', 'port.id', 'ip_allocation.port_id')
    .innerJoin('server', 'server.id', 'port.server_id')
    .select('server.host_id')
    .distinct()
    .where('ip_allocation.subnet_id', '=', subnetId)
    .where('server.host_id', 'is not', null)
    .execute();
  return rows.map((row) => row.host_id!);
}

/** Hosts of the servers with a port in a security group. */
export async function hostsOfServerGroup(db: Reader, groupId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('port_security_group')
    .innerJoin('port', 'port.id', 'port_security_group.port_id')
    .innerJoin('server', 'server.id', 'port.server_id')
    .select('server.host_id')
    .distinct()
    .where('port_security_group.security_group_id', '=', groupId)
    .where('server.host_id', 'is not', null)
    .execute();
  return rows.map((row) => row.host_id!);
}
