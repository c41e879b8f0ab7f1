import { tapName } from '../../../src/net/names.js';
import type { ObjectKey, PortObject } from '../../../src/protocol/objects.js';
import type { FdbEntry, TapLink } from '../links/model.js';

/**
 * A guest's tap. Its MAC is a static entry and the bridge neither learns from it nor floods unknown MACs to it. Ports that
 * may use other MACs (address pairs, no port security) need learning: which MACs they send from is the firewall's business.
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
    flags: { learning: severalMacs, flood: severalMacs, neighSuppress: false },
    mac: port.mac,
  };
}

/** The static forwarding entry of a guest's own MAC. */
export function tapEntry(port: PortObject, owner: ObjectKey): FdbEntry {
  return { dev: tapName(port.id), mac: port.mac, dst: null, owner };
}
