import { cidrContains, normaliseCidr, parseCidr } from '../../../src/net/cidr.js';
import { ipVersion, normaliseIp } from '../../../src/net/ip.js';
import { routerGatewayName, routerInterfaceName, routerNamespace } from '../../../src/net/names.js';
import type { ObjectKey, RouterObject } from '../../../src/protocol/objects.js';
import type { DesiredDevice, DesiredNamespace } from '../namespace/model.js';
import { routerTables } from './tables.js';

/** Settings of a router's namespace. */
const SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_forward': '1',
  'net.ipv6.conf.all.forwarding': '1',
  'net.ipv6.conf.default.accept_ra': '0',
  // nobody else has these addresses, and what is sent while one is tentative is ignored
  'net.ipv6.conf.default.accept_dad': '0',
  'net.ipv6.conf.default.dad_transmits': '0',
  'net.ipv4.conf.all.rp_filter': '0',
  'net.ipv4.conf.default.rp_filter': '0',
  // a router's device answers only for its own addresses
  'net.ipv4.conf.all.arp_ignore': '1',
  'net.ipv4.conf.all.arp_announce': '2',
  // new addresses are announced by the kernel: no arping to wait for, and none to be installed
  'net.ipv4.conf.all.arp_notify': '1',
  'net.ipv6.conf.all.ndisc_notify': '1',
  'net.ipv4.conf.all.promote_secondaries': '1',
};

/** The namespace of a router: its devices, addresses, routes and rules. A route that cannot be had is a problem, not the end. */
export function routerNamespaceOf(
  router: RouterObject,
  owner: ObjectKey,
  onProblem: (message: string) => void,
): DesiredNamespace {
  const devices = new Map<string, DesiredDevice>();
  for (const { port_id, mac, mtu, addresses } of router.interfaces) {
    const name = routerInterfaceName(port_id);
    devices.set(name, { name, mac, mtu, addresses: addresses.map(canonical) });
  }
  const { external } = router;
  if (external) {
    const name = routerGatewayName(external.port_id);
    const floating = router.floating_ips.map((fip) => `${fip.floating_ip_address}/32`);
    const addresses = [...new Set([...external.addresses.map(canonical), ...floating])];
    devices.set(name, { name, mac: external.mac, mtu: external.mtu, addresses });
  }
  return {
    name: routerNamespace(router.id),
    owner,
    sysctls: SYSCTLS,
    devices,
    routes: routes(router, onProblem),
    tables: routerTables(router, owner),
    families: [4, 6],
  };
}

function routes(router: RouterObject, onProblem: (message: string) => void): Map<string, string> {
  const found = new Map<string, string>();
  const { external } = router;
  for (const gateway of external?.gateways ?? []) {
    const reachable = external!.addresses.some((address) => cidrContains(address, gateway));
    const how = `via ${normaliseIp(gateway)} dev ${routerGatewayName(external!.port_id)}${reachable ? '' : ' onlink'}`;
    found.set(`${ipVersion(gateway)} default`, how);
  }
  for (const { destination, nexthop } of router.routes) {
    const device = deviceTowards(router, nexthop);
    if (device === null) {
      onProblem(
        `router ${router.id}: the next hop ${nexthop} of route ${destination} is on none of its subnets`,
      );
      continue;
    }
    const { version, prefix } = parseCidr(destination);
    const target = prefix === 0 ? 'default' : hostless(normaliseCidr(destination));
    found.set(`${version} ${target}`, `via ${normaliseIp(nexthop)} dev ${device}`);
  }
  return found;
}

function deviceTowards(router: RouterObject, nexthop: string): string | null {
  for (const { port_id, addresses } of router.interfaces) {
    if (addresses.some((address) => cidrContains(address, nexthop))) return routerInterfaceName(port_id);
  }
  const { external } = router;
  if (external?.addresses.some((address) => cidrContains(address, nexthop))) {
    return routerGatewayName(external.port_id);
  }
  return null;
}

/** `ip route` prints a route to one host without its prefix length. */
function hostless(cidr: string): string {
  return cidr.replace(/\/(32|128)$/, '');
}

function canonical(cidr: string): string {
  const { address, prefix } = parseCidr(cidr);
  return `${address}/${prefix}`;
}
