import { cidrContains } from '../../../src/net/cidr.js';
import { ipVersion } from '../../../src/net/ip.js';
import type { DhcpObject, SubnetBody } from '../../../src/protocol/objects.js';
import { METADATA_ADDRESS } from '../router/tables.js';
import { servedSubnets, subnetTag } from './dnsmasq.js';

/** Lines of dnsmasq's options file: per subnet what every guest gets, then the options that ports ask for. */
export function optionLines(dhcp: DhcpObject): string[] {
  const lines: string[] = [];
  for (const subnet of servedSubnets(dhcp)) {
    lines.push(...(subnet.ip_version === 4 ? options4(dhcp, subnet) : options6(dhcp, subnet)));
  }
  for (const { port_id, extra_dhcp_opts } of dhcp.reservations) {
    for (const { opt_name, opt_value, ip_version } of extra_dhcp_opts) {
      const parts = /^((?:tag:!?[\w-]+,)*)(?:option6?:)?([\w-]+)$/.exec(opt_name);
      // dnsmasq logs an option that it does not know and goes on; a name with other characters would be more than a name
      if (!parts) continue;
      const [, tags, name] = parts;
      const option =
        /^\d+$/.test(name!) && ip_version === 4 ? name : `${ip_version === 6 ? 'option6' : 'option'}:${name}`;
      lines.push(`tag:port-${port_id},${tags}${option},${oneLine(opt_value)}`);
    }
  }
  return lines;
}

function options4(dhcp: DhcpObject, subnet: SubnetBody): string[] {
  const tag = `tag:${subnetTag(subnet.id)}`;
  const own = ownAddress(dhcp, subnet);
  const dns = subnet.dns_nameservers.filter((address) => ipVersion(address) === 4);
  const servers = dns.length ? dns : own ? [own] : [];
  const routes = subnet.host_routes.map(({ destination, nexthop }) => `${destination},${nexthop}`);
  if (own && !subnet.host_routes.some(({ destination }) => destination === `${METADATA_ADDRESS}/32`)) {
    routes.push(`${METADATA_ADDRESS}/32,${own}`);
  }
  // a client that understands option 121 ignores option 3, so the default route stands in both
  if (subnet.gateway_ip && !subnet.host_routes.some(({ destination }) => destination === '0.0.0.0/0')) {
    routes.push(`0.0.0.0/0,${subnet.gateway_ip}`);
  }
  return [
    // without a value, dnsmasq does not name itself as the router
    subnet.gateway_ip ? `${tag},option:router,${subnet.gateway_ip}` : `${tag},option:router`,
    ...(servers.length ? [`${tag},option:dns-server,${servers.join(',')}`] : []),
    ...(routes.length
      ? [`${tag},option:classless-static-route,${routes.join(',')}`, `${tag},249,${routes.join(',')}`]
      : []),
    `${tag},option:mtu,${dhcp.mtu}`,
  ];
}

function options6(dhcp: DhcpObject, subnet: SubnetBody): string[] {
  const dns = subnet.dns_nameservers.filter((address) => ipVersion(address) === 6);
  const own = ownAddress(dhcp, subnet);
  const servers = dns.length ? dns : own ? [own] : [];
  if (!servers.length) return [];
  return [
    `tag:${subnetTag(subnet.id)},option6:dns-server,${servers.map((address) => `[${address}]`).join(',')}`,
  ];
}

/** The DHCP server's own address in a subnet. */
function ownAddress(dhcp: DhcpObject, subnet: SubnetBody): string | null {
  const addresses = dhcp.addresses.map((cidr) => cidr.split('/')[0]!);
  return addresses.find((address) => cidrContains(subnet.cidr, address)) ?? null;
}

/** A line break in a value would be a line of its own in dnsmasq's file. */
function oneLine(value: string): string {
  return value.replace(/[\r\n]+/g, ' ');
}
