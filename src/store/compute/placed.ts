import type { ChangeKind, Reader } from '../store.js';

/** Hosts whose guests' objects may depend on a changed row. May name too many, never too few. */
export async function hostsOfServerChange(
  db: Reader,
  change: { readonly kind: ChangeKind; readonly id: string },
): Promise<string[]> {
  switch (change.kind) {
    case 'server':
      return await serverHost(db, change.id);
    case 'port':
      return await portHosts(db, 'port.id', change.id);
    case 'network':
      return await portHosts(db, 'port.network_id', change.id);
    case 'subnet':
      return await subnetHosts(db, change.id);
    case 'security-group':
      return await groupHosts(db, change.id);
    case 'floating-ip':
      return await floatingIpHosts(db, change.id);
    case 'router':
    case 'volume':
    case 'image':
    case 'host':
      return [];
  }
}

async function serverHost(db: Reader, id: string): Promise<string[]> {
  const row = await db.selectFrom('server').select('host_id').where('id', '=', id).executeTakeFirst();
  return row?.host_id ? [row.host_id] : [];
}

async function portHosts(
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

async function subnetHosts(db: Reader, subnetId: string): Promise<string[]> {
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

async function groupHosts(db: Reader, groupId: string): Promise<string[]> {
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

/** The port that an address was taken from is no longer in its row, so all guests of the project are looked at. */
async function floatingIpHosts(db: Reader, id: string): Promise<string[]> {
  const rows = await db
    .selectFrom('floating_ip')
    .innerJoin('server', 'server.project_id', 'floating_ip.project_id')
    .select('server.host_id')
    .distinct()
    .where('floating_ip.id', '=', id)
    .where('server.host_id', 'is not', null)
    .where('server.deleted_at', 'is', null)
    .execute();
  const of = await db
    .selectFrom('floating_ip')
    .innerJoin('port', 'port.id', 'floating_ip.fixed_port_id')
    .innerJoin('server', 'server.id', 'port.server_id')
    .select('server.host_id')
    .where('floating_ip.id', '=', id)
    .where('server.host_id', 'is not', null)
    .execute();
  return [...new Set([...rows, ...of].map((row) => row.host_id!))];
}
