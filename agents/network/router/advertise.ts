import { cidrContains, normaliseCidr, parseCidr } from '../../../src/net/cidr.js';
import { routerInterfaceName, routerNamespace } from '../../../src/net/names.js';
import type { ObjectKey, RouterObject, Spec, SubnetBody } from '../../../src/protocol/objects.js';
import type { NetworkConfig } from '../config.js';
import { type DnsmasqService, dnsmasqDirectory } from '../dhcp/process.js';
import { objectOf } from '../model.js';

/** dnsmasq's word for each mode; with none of them set, nobody is to be told anything. */
const MODES: Readonly<Record<NonNullable<SubnetBody['ipv6_ra_mode']>, string>> = {
  slaac: 'ra-only',
  'dhcpv6-stateless': 'ra-stateless',
  'dhcpv6-stateful': 'static',
};

/**
 * The dnsmasq that sends a router's advertisements into its IPv6 subnets, or null when no subnet wants any. Addresses and
 * options come from the network's DHCP server; this one answers no requests.
 */
export function routerAdvertiser(
  router: RouterObject,
  owner: ObjectKey,
  spec: Spec,
  context: { readonly config: NetworkConfig },
): DnsmasqService | null {
  const name = `ra/${router.id}`;
  const directory = dnsmasqDirectory(context, name);
  const devices: string[] = [];
  const lines: string[] = [];
  for (const { port_id, network_id, mtu, addresses } of router.interfaces) {
    const subnets = objectOf(spec, 'dhcp', network_id)?.subnets ?? [];
    const advertised = subnets.filter(
      ({ cidr, ipv6_ra_mode }) =>
        ipv6_ra_mode !== null && addresses.some((a) => cidrContains(cidr, a.split('/')[0]!)),
    );
    if (!advertised.length) continue;
    const device = routerInterfaceName(port_id);
    devices.push(device);
    // every 30 to 100 seconds, valid for half an hour
    lines.push(`interface=${device}`, `ra-param=${device},mtu:${mtu},100,1800`);
    for (const { cidr, ipv6_ra_mode } of advertised) {
      const { prefix } = parseCidr(cidr);
      const network = normaliseCidr(cidr).split('/')[0];
      lines.push(`dhcp-range=${network},${MODES[ipv6_ra_mode!]},${prefix},86400s`);
    }
  }
  if (!devices.length) return null;
  const configuration = [
    `# Router advertisements of router ${router.id}; written by the maru agent, changes are lost`,
    'port=0',
    'except-interface=lo',
    'bind-interfaces',
    'user=root',
    `pid-file=${directory}/pid`,
    `dhcp-leasefile=${directory}/leases`,
    'enable-ra',
    'dhcp-ignore=tag:!known',
    'quiet-ra',
    'quiet-dhcp6',
    ...lines,
  ];
  const files = { 'dnsmasq.conf': `${configuration.join('\n')}\n`, hosts: '', options: '', addresses: '' };
  return { name, owner, netns: routerNamespace(router.id), devices, files };
}
