import { parseCidr } from '../net/cidr.js';
import type { SubnetBody } from '../protocol/objects.js';
import type { NetworkTables } from '../store/tables/network.js';

/** A subnet as hosts know it. */
export function subnetBody(row: NetworkTables['subnet']): SubnetBody {
  return {
    id: row.id,
    ip_version: row.ip_version,
    cidr: row.cidr,
    gateway_ip: row.gateway_ip,
    dns_nameservers: JSON.parse(row.dns_nameservers) as string[],
    host_routes: JSON.parse(row.host_routes) as SubnetBody['host_routes'],
    enable_dhcp: row.enable_dhcp === 1,
    ipv6_ra_mode: row.ipv6_ra_mode,
    ipv6_address_mode: row.ipv6_address_mode,
  };
}

/** An address of a port with the block it is from. */
export interface AddressRow {
  readonly port_id: string | null;
  readonly ip_address: string;
  readonly subnet_id: string;
  readonly cidr: string;
  readonly gateway_ip: string | null;
  readonly ip_version: 4 | 6;
}

/** An address in the notation of interfaces: `10.0.0.5/24`. */
export function interfaceCidr(address: Pick<AddressRow, 'ip_address' | 'cidr'>): string {
  return `${address.ip_address}/${parseCidr(address.cidr).prefix}`;
}
