import { tapName } from '../../src/net/names.js';
import type { GuestMetadata, SubnetBody } from '../../src/protocol/objects.js';

type Interface = GuestMetadata['networks'][number];
type FixedIp = Interface['fixed_ips'][number];

/** network_data.json: links, the networks on them, and name servers, as cloud-init reads them. */
export function networkData(metadata: GuestMetadata): Record<string, unknown> {
  const links = metadata.networks.map((nic) => ({
    id: tapName(nic.port_id),
    vif_id: nic.port_id,
    type: 'bridge',
    mtu: nic.mtu,
    ethernet_mac_address: nic.mac,
  }));
  const networks = metadata.networks
    .flatMap((nic) => nic.fixed_ips.map((fixed) => network(nic, fixed)))
    .map((found, index) => ({ id: `network${index}`, ...found }));
  const servers = new Set(
    metadata.networks.flatMap((nic) => nic.fixed_ips.flatMap((ip) => ip.subnet.dns_nameservers)),
  );
  return { links, networks, services: [...servers].map((address) => ({ type: 'dns', address })) };
}

function network(nic: Interface, fixed: FixedIp): Record<string, unknown> {
  const { subnet } = fixed;
  const common = { link: tapName(nic.port_id), network_id: nic.network_id };
  const type = dynamicType(subnet);
  if (type === 'ipv4_dhcp') return { type, ...common };
  const services = subnet.dns_nameservers.map((address) => ({ type: 'dns', address }));
  return {
    type: type ?? `ipv${subnet.ip_version}`,
    ...common,
    ip_address: fixed.ip_address,
    netmask: netmask(fixed.prefix_length, subnet.ip_version),
    routes: routes(subnet),
    services,
  };
}

/** How the guest gets the address without being told here; null: it must be set from this document. */
function dynamicType(subnet: SubnetBody): string | null {
  if (subnet.ip_version === 4) return subnet.enable_dhcp ? 'ipv4_dhcp' : null;
  const mode = subnet.ipv6_address_mode;
  if (mode === null) return null;
  return mode === 'slaac' ? 'ipv6_slaac' : `ipv6_${mode}`;
}

function routes(subnet: SubnetBody): Record<string, string>[] {
  const version = subnet.ip_version;
  const all = subnet.host_routes.map(({ destination, nexthop }) => {
    const [address = '', prefix = ''] = destination.split('/');
    return { network: address, netmask: netmask(Number(prefix), version), gateway: nexthop };
  });
  if (subnet.gateway_ip !== null) {
    const any = version === 4 ? '0.0.0.0' : '::';
    all.unshift({ network: any, netmask: any, gateway: subnet.gateway_ip });
  }
  return all;
}

/** A prefix length as the mask that this format wants, for both IP versions. */
function netmask(prefix: number, version: 4 | 6): string {
  if (version === 4) {
    const bits = prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
    return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.');
  }
  if (prefix === 0) return '::';
  const groups = Array.from({ length: 8 }, (_, index) => {
    const ones = Math.max(0, Math.min(16, prefix - index * 16));
    return ((0xffff << (16 - ones)) & 0xffff).toString(16);
  });
  return groups.join(':').replace(/(:0)+$/, '::');
}
