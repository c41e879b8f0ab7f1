import { parseCidr } from '../../net/cidr.js';
import type { SubnetBody } from '../../protocol/objects.js';
import { serverGroupRows, serverPortRows } from '../../store/network/port.js';
import type { Reader } from '../../store/store.js';

/** An address of a server's port, with the floating IP that leads to it. */
export interface ServerAddress {
  readonly ip_address: string;
  readonly version: 4 | 6;
  readonly prefix_length: number;
  readonly subnet: SubnetBody;
  readonly floating_ip: string | null;
}

/** A port as its server shows it. */
export interface PortOfServer {
  readonly port_id: string;
  readonly server_id: string;
  readonly network_id: string;
  readonly network_name: string;
  readonly mtu: number;
  readonly mac_address: string;
  readonly status: string;
  readonly addresses: readonly ServerAddress[];
  /** Names of the port's groups. */
  readonly security_groups: readonly { readonly id: string; readonly name: string }[];
}

/** The ports of servers by server id, each server's in the order they were made: two queries for any number of servers. */
export async function portsOfServers(
  db: Reader,
  serverIds: readonly string[],
): Promise<ReadonlyMap<string, readonly PortOfServer[]>> {
  const rows = await serverPortRows(db, serverIds);
  const groups = await serverGroupRows(db, serverIds);
  const groupsOfPort = new Map<string, { id: string; name: string }[]>();
  for (const { port_id, id, name } of groups) {
    groupsOfPort.set(port_id, [...(groupsOfPort.get(port_id) ?? []), { id, name }]);
  }
  const ports = new Map<string, PortOfServer & { addresses: ServerAddress[] }>();
  for (const row of rows) {
    let port = ports.get(row.port_id);
    if (!port) {
      const { port_id, server_id, network_id, network_name, mtu, mac_address, status } = row;
      const security_groups = groupsOfPort.get(port_id) ?? [];
      port = {
        port_id,
        server_id,
        network_id,
        network_name,
        mtu,
        mac_address,
        status,
        addresses: [],
        security_groups,
      };
      ports.set(port_id, port);
    }
    const address = addressOf(row);
    if (address) port.addresses.push(address);
  }
  return groupByServer([...ports.values()]);
}

function addressOf(row: Awaited<ReturnType<typeof serverPortRows>>[number]): ServerAddress | null {
  if (row.ip_address === null || row.cidr === null || row.subnet_id === null || row.ip_version === null) {
    return null;
  }
  return {
    ip_address: row.ip_address,
    version: row.ip_version,
    prefix_length: parseCidr(row.cidr).prefix,
    floating_ip: row.floating_ip_address,
    subnet: {
      id: row.subnet_id,
      ip_version: row.ip_version,
      cidr: row.cidr,
      gateway_ip: row.gateway_ip,
      dns_nameservers: JSON.parse(row.dns_nameservers ?? '[]'),
      host_routes: JSON.parse(row.host_routes ?? '[]'),
      enable_dhcp: row.enable_dhcp === 1,
      ipv6_ra_mode: row.ipv6_ra_mode,
      ipv6_address_mode: row.ipv6_address_mode,
    },
  };
}

function groupByServer(ports: readonly PortOfServer[]): Map<string, PortOfServer[]> {
  const byServer = new Map<string, PortOfServer[]>();
  for (const port of ports) byServer.set(port.server_id, [...(byServer.get(port.server_id) ?? []), port]);
  return byServer;
}
