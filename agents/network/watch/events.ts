import { isOurNamespace } from '../namespace/model.js';
import type { ObservedHost } from '../observed.js';

/** What one line of `ip -o monitor all-nsid` is about. */
export interface IpEvent {
  /** Number of the namespace as seen from the host's own; null: the host's own. */
  readonly nsid: number | null;
  readonly kind: 'link' | 'address' | 'route';
  readonly deleted: boolean;
  /** Of links; what ip prints as the device of an address or route in another namespace is looked up in the wrong one. */
  readonly name: string;
  readonly master: string | null;
  readonly up: boolean;
  readonly mtu: number | null;
  /** With prefix length, of addresses. */
  readonly address: string | null;
  /** From the kernel itself: comes and goes with addresses and devices. */
  readonly kernel: boolean;
}

/** Reads a line; null when it says nothing that could matter. */
export function parseIpEvent(line: string): IpEvent | null {
  const [, where, gone, rest = ''] = /^\[nsid (current|\d+)\](Deleted )?(.*)$/.exec(line) ?? [];
  if (where === undefined) return null;
  const base = { nsid: where === 'current' ? null : Number(where), deleted: gone !== undefined };
  const none = { master: null, up: false, mtu: null, address: null, kernel: false };
  const link = /^\d+: ([^:@\s]+)(?:@[^:\s]+)?: <([^>]*)>(.*)$/.exec(rest);
  if (link) {
    const [, name = '', flags = '', more = ''] = link;
    const mtu = / mtu (\d+)/.exec(more)?.[1];
    return {
      ...base,
      ...none,
      kind: 'link',
      name,
      master: / master (\S+)/.exec(more)?.[1] ?? null,
      up: flags.split(',').includes('UP'),
      mtu: mtu === undefined ? null : Number(mtu),
    };
  }
  const address = /^\d+: (\S+)\s+(inet6?) (\S+)(.*)$/.exec(rest);
  if (address) {
    const [, , family, text = '', more = ''] = address;
    return {
      ...base,
      ...none,
      kind: 'address',
      name: '',
      address: text,
      kernel: family === 'inet6' && more.includes('scope link'),
    };
  }
  if (!/ dev \S+/.test(rest)) return null;
  const kernel = /proto kernel|table local|^multicast |^fe80:/.test(rest);
  return { ...base, ...none, kind: 'route', name: '', kernel };
}

/**
 * Whether an event contradicts what the host is known to have. Guests that start and stop, and our own changes that are noted by now,
 * agree with it; other people's devices and namespaces are none of our business.
 */
export function contradicts(
  event: IpEvent,
  observed: ObservedHost,
  nameOfNamespace: (nsid: number) => string | undefined,
): boolean {
  if (event.nsid === null) return event.kind === 'link' && linkContradicts(event, observed);
  const netns = nameOfNamespace(event.nsid);
  if (netns === undefined || !isOurNamespace(netns) || event.kernel) return false;
  const known = observed.namespaces.get(netns);
  if (!known) return false;
  if (event.kind === 'route') return true;
  if (event.kind === 'address') {
    const has = [...known.devices.values()].some(({ addresses }) => addresses.has(event.address ?? ''));
    return event.deleted === has;
  }
  const device = known.devices.get(event.name);
  if (event.deleted) return device !== undefined;
  return device !== undefined && (!event.up || (event.mtu !== null && event.mtu !== device.mtu));
}

/** Names of devices that are ours in the host's own namespace, whatever kind they are of. */
function isOurName(name: string): boolean {
  return /^(br[qv][0-9a-f-]{1,11}|vxlan-\d+|tap[0-9a-f]{8}-[0-9a-f]{2})$/.test(name);
}

function linkContradicts(event: IpEvent, { links }: ObservedHost): boolean {
  if (!isOurName(event.name)) return false;
  const known = links.links.get(event.name);
  // the bridge's own message about a port that leaves it is a deletion too
  if (event.deleted) return known !== undefined;
  if (!known) return true;
  if (known.kind === 'bridge') return event.up !== known.up || event.mtu !== known.mtu;
  return event.up !== known.up || event.mtu !== known.mtu || event.master !== known.master;
}

/** Whether a line of `nft monitor` may concern what is ours, or a chain that we jump from. */
export function concernsUs(line: string): boolean {
  return /maru|\b(FORWARD|PREROUTING|POSTROUTING|INPUT|OUTPUT)\b|^(delete|flush) table|^flush ruleset/.test(
    line,
  );
}
