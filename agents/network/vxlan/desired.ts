import { vxlanName } from '../../../src/net/names.js';
import type { NetworkObject, ObjectKey } from '../../../src/protocol/objects.js';
import { type FdbEntry, FLOOD_MAC, type VxlanLink } from '../links/model.js';

/**
 * The tunnel device of a tenant network. Nothing is learned: floods go to exactly the hosts that have ports of the network,
 * known MACs straight to their host. There is no `proxy`, which would swallow what it does not know, and no `neigh_suppress`, which
 * keeps gratuitous ARP and unsolicited neighbour advertisements off the tunnel even where the bridge knows no neighbours: an address
 * that moves between guests of two hosts (keepalived) would stay unreachable.
 */
export function vxlanLink(
  network: NetworkObject,
  owner: ObjectKey,
  bridge: string,
  local: string,
): VxlanLink {
  const vni = network.segmentation_id;
  if (vni === null) throw new Error(`network ${network.id} is of type vxlan and has no segmentation_id`);
  return {
    kind: 'vxlan',
    name: vxlanName(vni),
    owner,
    mtu: network.mtu,
    master: bridge,
    flags: { learning: false, flood: true, neighSuppress: false },
    vni,
    local,
  };
}

/** Where the tunnel device sends frames: peers for flooding, and each remote port's host. */
export function vxlanEntries(network: NetworkObject, owner: ObjectKey, local: string): FdbEntry[] {
  const dev = vxlanName(network.segmentation_id ?? 0);
  const peers = network.peers.filter((peer) => peer !== local);
  const remote = network.remote_ports.filter(({ vtep }) => vtep !== local);
  return [
    ...peers.map((dst) => ({ dev, mac: FLOOD_MAC, dst, owner })),
    ...remote.flatMap(({ mac, vtep }) => [
      { dev, mac, dst: vtep, owner },
      { dev, mac, dst: null, owner },
    ]),
  ];
}
