import { dottedMask, networkAddress, parseCidr } from '../../../src/net/cidr.js';
import { ipVersion } from '../../../src/net/ip.js';
import { dhcpDeviceName } from '../../../src/net/names.js';
import type { DhcpObject, SubnetBody } from '../../../src/protocol/objects.js';
import { optionLines } from './options.js';

/** The files of one dnsmasq. */
export interface DnsmasqFiles {
  /** Changes need a restart. */
  readonly 'dnsmasq.conf': string;
  /** Changes are read again on SIGHUP. */
  readonly hosts: string;
  readonly options: string;
  readonly addresses: string;
}

/** Seconds that a lease lasts. */
const LEASE = 86_400;

/** Renders the configuration of a network's dnsmasq, whose files are in `directory`. */
export function renderDnsmasq(dhcp: DhcpObject, directory: string): DnsmasqFiles {
  return {
    'dnsmasq.conf': configuration(dhcp, directory),
    hosts: hosts(dhcp),
    options: optionLines(dhcp)
      .map((line) => `${line}\n`)
      .join(''),
    addresses: nameLines(dhcp),
  };
}

/** Tag by which options find the hosts of a subnet. */
export function subnetTag(subnetId: string): string {
  return `subnet-${subnetId}`;
}

/** Subnets of this network that dnsmasq gives addresses or options for. */
export function servedSubnets(dhcp: DhcpObject): SubnetBody[] {
  return dhcp.subnets.filter((subnet) => subnet.enable_dhcp && subnet.ipv6_address_mode !== 'slaac');
}

function configuration(dhcp: DhcpObject, directory: string): string {
  return `${configurationLines(dhcp, directory).map(singleLine).join('\n')}\n`;
}

function configurationLines(dhcp: DhcpObject, directory: string): string[] {
  const ranges = servedSubnets(dhcp).map((subnet) => {
    const { prefix } = parseCidr(subnet.cidr);
    const size = subnet.ip_version === 4 ? dottedMask(subnet.cidr) : prefix;
    return `dhcp-range=set:${subnetTag(subnet.id)},${networkAddress(subnet.cidr)},static,${size},${LEASE}s`;
  });
  return [
    `# DHCP and DNS of network ${dhcp.network_id}; written by the maru agent, changes are lost`,
    `interface=${dhcpDeviceName(dhcp.port_id)}`,
    'except-interface=lo',
    'bind-interfaces',
    // it reads its host files again under the agent's directory, which only root may enter
    'user=root',
    `pid-file=${directory}/pid`,
    `dhcp-leasefile=${directory}/leases`,
    `dhcp-hostsfile=${directory}/hosts`,
    `dhcp-optsfile=${directory}/options`,
    `addn-hosts=${directory}/addresses`,
    'no-hosts',
    'no-ping',
    'dhcp-authoritative',
    'dhcp-ignore=tag:!known',
    'dhcp-no-override',
    'dhcp-lease-max=65536',
    'quiet-dhcp',
    'quiet-dhcp6',
    ...(safeName(trimDot(dhcp.dns_domain))
      ? [`domain=${trimDot(dhcp.dns_domain)}`, `local=/${trimDot(dhcp.dns_domain)}/`, 'expand-hosts']
      : []),
    ...ranges,
    // tags of ports stand here and not in the hosts file: dnsmasq 2.90 crashes when it reads a used tag of that file again
    ...dhcp.reservations
      .filter(({ extra_dhcp_opts }) => extra_dhcp_opts.length)
      .map(({ port_id, mac }) => `dhcp-mac=set:port-${port_id},${mac}`)
      .sort(),
  ];
}

/** dnsmasq runs as root and has options that run programs: no value may bring a line of its own. */
function singleLine(line: string): string {
  if (/[\r\n\0]/.test(line))
    throw new Error(`a value in dnsmasq's configuration has a line break: ${JSON.stringify(line)}`);
  return line;
}

/** One line per address: a port may have several, and each finds its subnet by the address. */
function hosts(dhcp: DhcpObject): string {
  const served = new Set(servedSubnets(dhcp).map(({ id }) => id));
  const lines: string[] = [];
  for (const { mac, hostname: given, fixed_ips } of dhcp.reservations) {
    const hostname = safeName(given);
    for (const { subnet_id, ip_address } of fixed_ips) {
      if (!served.has(subnet_id)) continue;
      const address = ipVersion(ip_address) === 6 ? `[${ip_address}]` : ip_address;
      lines.push(`${mac},${address}${hostname ? `,${hostname}` : ''}\n`);
    }
  }
  return lines.sort().join('');
}

/** Names that dnsmasq answers for. */
function nameLines(dhcp: DhcpObject): string {
  const lines = dhcp.reservations.flatMap(({ hostname, fixed_ips }) =>
    safeName(hostname) ? fixed_ips.map(({ ip_address }) => `${ip_address} ${hostname}\n`) : [],
  );
  return lines.sort().join('');
}

/** A name that is none would be read as something else in dnsmasq's files: then the port has no name. */
function safeName(name: string): string {
  return /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name) ? name : '';
}

function trimDot(domain: string): string {
  return domain.replace(/\.$/, '');
}
