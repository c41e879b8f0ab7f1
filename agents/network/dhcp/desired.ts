import { parseCidr } from '../../../src/net/cidr.js';
import { ipVersion } from '../../../src/net/ip.js';
import { dhcpDeviceName, dhcpNamespace } from '../../../src/net/names.js';
import type { DhcpObject, ObjectKey } from '../../../src/protocol/objects.js';
import type { DesiredNamespace } from '../namespace/model.js';
import { METADATA_ADDRESS } from '../router/tables.js';

const SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_forward': '0',
  'net.ipv4.conf.all.rp_filter': '0',
  'net.ipv4.conf.default.rp_filter': '0',
  'net.ipv6.conf.all.forwarding': '0',
  'net.ipv6.conf.default.accept_ra': '0',
  // nobody else has these addresses, and what is sent while one is tentative is ignored
  'net.ipv6.conf.default.accept_dad': '0',
  'net.ipv6.conf.default.dad_transmits': '0',
};

/** The namespace of a network's DHCP server; the metadata address is on its device as well. */
export function dhcpNamespaceOf(dhcp: DhcpObject, owner: ObjectKey): DesiredNamespace {
  const name = dhcpDeviceName(dhcp.port_id);
  const addresses = dhcp.addresses.map((cidr) => {
    const { address, prefix } = parseCidr(cidr);
    return `${address}/${prefix}`;
  });
  const metadata = addresses.some((address) => !address.includes(':')) ? [`${METADATA_ADDRESS}/32`] : [];
  return {
    name: dhcpNamespace(dhcp.network_id),
    owner,
    sysctls: SYSCTLS,
    devices: new Map([
      [name, { name, mac: dhcp.mac, mtu: dhcp.mtu, addresses: [...addresses, ...metadata] }],
    ]),
    routes: defaultRoutes(dhcp, name),
    tables: new Map(),
    families: [],
  };
}

/** Through the tenant's router, for the queries that dnsmasq forwards. */
function defaultRoutes(dhcp: DhcpObject, device: string): Map<string, string> {
  const routes = new Map<string, string>();
  for (const { gateway_ip } of dhcp.subnets) {
    if (gateway_ip === null || routes.has(`${ipVersion(gateway_ip)} default`)) continue;
    const onLink = dhcp.addresses.some((cidr) => {
      const block = parseCidr(cidr);
      const gateway = parseCidr(gateway_ip);
      return block.version === gateway.version && block.first <= gateway.first && gateway.last <= block.last;
    });
    if (onLink) routes.set(`${ipVersion(gateway_ip)} default`, `via ${gateway_ip} dev ${device}`);
  }
  return routes;
}
