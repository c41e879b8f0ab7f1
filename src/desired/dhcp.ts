import type { DhcpObject } from '../protocol/objects.js';
import type { NetworkTables } from '../store/tables/network.js';
import { type AddressRow, interfaceCidr, subnetBody } from './subnet.js';

type Port = NetworkTables['port'];

/** What one network's DHCP service is made of. */
export interface DhcpRows {
  readonly network: NetworkTables['network'];
  readonly subnets: readonly NetworkTables['subnet'][];
  readonly dhcpPort: Port;
  /** Guests' ports of the network on this host. */
  readonly guests: readonly Port[];
  /** Addresses of all these ports. */
  readonly addresses: readonly AddressRow[];
}

/** The DHCP service of a network on a host: it answers the guests of that host only. */
export function dhcpObject(rows: DhcpRows): DhcpObject {
  const { network, dhcpPort } = rows;
  const of = (port: Port) => rows.addresses.filter((address) => address.port_id === port.id);
  return {
    network_id: network.id,
    port_id: dhcpPort.id,
    mac: dhcpPort.mac_address,
    addresses: of(dhcpPort).map(interfaceCidr),
    mtu: network.mtu,
    dns_domain: network.dns_domain.replace(/\.$/, '') || 'openstacklocal',
    subnets: rows.subnets.filter((subnet) => subnet.enable_dhcp).map(subnetBody),
    reservations: rows.guests.map((port) => ({
      port_id: port.id,
      mac: port.mac_address,
      hostname: port.dns_name || hostname(of(port)),
      fixed_ips: of(port).map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address })),
      extra_dhcp_opts: JSON.parse(port.extra_dhcp_opts),
    })),
  };
}

/** Neutron's name for a guest that has none: `host-10-0-0-5`. */
function hostname(addresses: readonly AddressRow[]): string {
  const first = addresses[0]?.ip_address ?? '';
  return first && `host-${first.replace(/[.:]/g, '-')}`;
}
