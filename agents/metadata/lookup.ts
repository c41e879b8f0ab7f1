import { normaliseIp } from '../../src/net/ip.js';
import type { ServerObject, Spec } from '../../src/protocol/objects.js';

/** Finds the server that a request comes from. */
export interface GuestLookup {
  /** `networkIds` are those that the listening namespace serves; `address` is the source of the connection. */
  find(networkIds: readonly string[], address: string): ServerObject | null;
}

/** The servers of a spec by network and address: addresses alone may occur in many networks. */
export function createLookup(spec: Spec): GuestLookup {
  const byAddress = new Map<string, ServerObject>();
  for (const [key, object] of Object.entries(spec)) {
    if (!key.startsWith('server/') || object.tombstone) continue;
    const server = object.body as ServerObject;
    for (const nic of server.metadata.networks) {
      for (const { ip_address } of nic.fixed_ips)
        byAddress.set(`${nic.network_id} ${normaliseIp(ip_address)}`, server);
      byAddress.set(`${nic.network_id} ${linkLocal(nic.mac)}`, server);
    }
  }
  return {
    find(networkIds, address) {
      const source = sourceAddress(address);
      if (source === null) return null;
      for (const id of networkIds) {
        const server = byAddress.get(`${id} ${source}`);
        if (server) return server;
      }
      return null;
    },
  };
}

/** The address as it is indexed: IPv4 in an IPv6 socket is IPv4, and a zone is of this machine only. */
function sourceAddress(address: string): string | null {
  try {
    return normaliseIp(address.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, ''));
  } catch {
    return null;
  }
}

/** The link-local address that a guest makes of its MAC (EUI-64). */
function linkLocal(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const groups = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  return normaliseIp(`fe80::${groups.map((group) => group.toString(16)).join(':')}`);
}
