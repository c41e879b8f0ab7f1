import type { NetworkObject } from '../protocol/objects.js';
import type { NetworkTables } from '../store/tables/network.js';

/** Where the ports of networks are: what tunnels have to know. */
export interface Endpoint {
  readonly network_id: string;
  readonly host_id: string;
  readonly mac_address: string;
  readonly underlay_ip: string;
}

/** A network as a host should have it. Only VXLAN networks know of other hosts: the rest rely on the provider's wires. */
export function networkObject(
  network: NetworkTables['network'],
  hostId: string,
  hostsOfNetwork: readonly { readonly host_id: string; readonly underlay_ip: string }[],
  endpoints: readonly Endpoint[],
): NetworkObject {
  const tunnelled = network.network_type === 'vxlan';
  const others = tunnelled ? hostsOfNetwork.filter((host) => host.host_id !== hostId) : [];
  const remote = tunnelled ? endpoints.filter((port) => port.host_id !== hostId) : [];
  return {
    id: network.id,
    type: network.network_type,
    physical_network: network.physical_network,
    segmentation_id: network.segmentation_id,
    mtu: network.mtu,
    peers: [...new Set(others.map((host) => host.underlay_ip))].sort(),
    remote_ports: remote
      .map((port) => ({ mac: port.mac_address, vtep: port.underlay_ip }))
      .sort((a, b) => (a.mac < b.mac ? -1 : 1)),
  };
}
