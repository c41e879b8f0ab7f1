import { tapName } from '../../../src/net/names.js';
import type { ObjectKey, PortObject } from '../../../src/protocol/objects.js';
import type { FdbEntry, TapLink } from '../links/model.js';

/**
 * A guest's tap. Its MAC is a static entry and the bridge neither learns from it nor floods unknown MACs to it. Ports that may use
 * other MACs (address pairs, no port security) get the frames to unknown MACs: such a MAC is never learned, since it may move to a
 * guest of another host (VRRP), and what a bridge has learned of a tap is not unlearned by frames from the tunnel.
 */
export function tapLink(port: PortObject, owner: ObjectKey, bridge: string): TapLink {
  const severalMacs =
    !port.port_security || port.allowed_address_pairs.some((pair) => pair.mac_address !== port.mac);
  return {
    kind: 'tap',
    name: tapName(port.id),
    owner,
    mtu: port.mtu,
    master: bridge,
    flags: { learning: false, flood: severalMacs, neighSuppress: false },
    mac: port.mac,
  };
}

/** The static forwarding entry of a guest's own MAC. */
export function tapEntry(port: PortObject, owner: ObjectKey): FdbEntry {
  return { dev: tapName(port.id), mac: port.mac, dst: null, owner };
}
