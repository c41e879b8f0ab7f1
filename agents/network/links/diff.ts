import type { ObjectKey } from '../../../src/protocol/objects.js';
import type { BatchLine } from '../model.js';
import {
  type FdbEntry,
  fdbKey,
  isOurLink,
  type Link,
  type LinksDesired,
  type LinksObserved,
  type ObservedLink,
  type PortFlags,
  VXLAN_PORT,
} from './model.js';

/** What has to be done to one device; `after` is what it then looks like (null: gone). */
export interface LinkChange {
  readonly name: string;
  readonly object: ObjectKey;
  readonly lines: readonly BatchLine[];
  readonly after: ObservedLink | null;
  /** The namespace end of a pair that is made anew: it comes without addresses. */
  readonly newPeer: {
    readonly netns: string;
    readonly device: string;
    readonly mac: string;
    readonly mtu: number;
  } | null;
}

export interface LinksDiff {
  /** Bridges first, since the others are plugged into them. */
  readonly make: readonly LinkChange[];
  readonly fdb: readonly {
    readonly line: BatchLine;
    readonly key: string;
    readonly entry: FdbEntry | null;
  }[];
  readonly remove: readonly LinkChange[];
}

/** Compares the devices of the host with those the spec asks for. Devices that are `named` are kept even if they are not wanted now. */
export function diffLinks(
  desired: LinksDesired,
  observed: LinksObserved,
  peerExists: (netns: string, device: string) => boolean,
  named: ReadonlySet<string> = new Set(),
): LinksDiff {
  const make: LinkChange[] = [];
  for (const rank of ['bridge', 'vxlan', 'vlan', 'tap', 'veth'] as const) {
    for (const link of desired.links.values()) {
      if (link.kind !== rank) continue;
      const change = linkChange(link, observed.links.get(link.name), peerExists);
      if (change) make.push(change);
    }
  }
  const remove = [...observed.links.values()]
    .filter(
      (link) => isOurLink(link, desired.underlay) && !desired.links.has(link.name) && !named.has(link.name),
    )
    .sort((a, b) => Number(a.kind === 'bridge') - Number(b.kind === 'bridge'))
    .map((link) => removal(link));
  return { make, fdb: diffFdb(desired, observed, make), remove };
}

function linkChange(
  link: Link,
  found: ObservedLink | undefined,
  peerExists: (netns: string, device: string) => boolean,
): LinkChange | null {
  const lines: BatchLine[] = [];
  const add = (line: string, optional = false) =>
    lines.push({ line, object: link.owner, ...(optional ? { optional } : {}) });
  const keep = found !== undefined && isUsable(link, found, peerExists);
  if (found && !keep) add(`link del dev ${link.name}`);
  if (!keep) add(creation(link));
  const now = keep ? found : undefined;
  if (now?.addressGeneration !== 'none') add(`link set dev ${link.name} addrgenmode none`);
  if (link.kind === 'bridge' && (now?.multicastSnooping !== false || now.noLinklocalLearn === false)) {
    add(`link set dev ${link.name} type bridge mcast_snooping 0`);
    if (now?.noLinklocalLearn !== true)
      add(`link set dev ${link.name} type bridge no_linklocal_learn 1`, true);
  }
  if (now?.mtu !== link.mtu) add(`link set dev ${link.name} mtu ${link.mtu}`);
  if (link.kind !== 'bridge') {
    if (now?.master !== link.master) add(`link set dev ${link.name} master ${link.master}`);
    for (const [flag, optional] of changedFlags(link.flags, now?.master === link.master ? now : undefined)) {
      add(`link set dev ${link.name} type bridge_slave ${flag}`, optional);
    }
  }
  if (!now?.up) add(`link set dev ${link.name} up`);
  if (!lines.length) return null;
  const newPeer =
    link.kind === 'veth' && !keep
      ? { netns: link.netns, device: link.peer, mac: link.mac, mtu: link.mtu }
      : null;
  return { name: link.name, object: link.owner, lines, after: resulting(link, now), newPeer };
}

/** Whether the device can be brought to the desired state without making it anew. */
function isUsable(
  link: Link,
  found: ObservedLink,
  peerExists: (netns: string, device: string) => boolean,
): boolean {
  switch (link.kind) {
    case 'bridge':
      return found.kind === 'bridge';
    case 'vxlan':
      return found.kind === 'vxlan' && found.vni === link.vni && found.local === link.local;
    case 'vlan':
      return found.kind === 'vlan' && found.vni === link.vlanId;
    case 'tap':
      // whatever bears the name is the guest's device: taking it away would cut a running guest
      return true;
    case 'veth':
      return found.kind === 'veth' && peerExists(link.netns, link.peer);
  }
}

function creation(link: Link): string {
  switch (link.kind) {
    case 'bridge':
      return `link add name ${link.name} type bridge`;
    case 'vxlan':
      return `link add name ${link.name} type vxlan id ${link.vni} local ${link.local} dstport ${VXLAN_PORT} nolearning`;
    case 'vlan':
      return `link add link ${link.parent} name ${link.name} type vlan id ${link.vlanId}`;
    case 'tap':
      return `tuntap add dev ${link.name} mode tap vnet_hdr`;
    case 'veth':
      return (
        `link add name ${link.name} address ${hostSideMac(link.mac)} mtu ${link.mtu} type veth ` +
        `peer name ${link.peer} address ${link.mac} mtu ${link.mtu} netns ${link.netns}`
      );
  }
}

/** A bridge takes the lowest MAC of its ports as its own: a high one keeps br-ex from changing its address. */
function hostSideMac(mac: string): string {
  return `fe${mac.slice(2)}`;
}

function changedFlags(flags: PortFlags, now: ObservedLink | undefined): [flag: string, optional: boolean][] {
  const changed: [string, boolean][] = [];
  if (now ? now.learning !== flags.learning : !flags.learning)
    changed.push([`learning ${onOff(flags.learning)}`, false]);
  if (now ? now.flood !== flags.flood : !flags.flood) changed.push([`flood ${onOff(flags.flood)}`, false]);
  const suppressKnown = now === undefined || now.neighSuppress !== null;
  if (suppressKnown && (now ? now.neighSuppress !== flags.neighSuppress : flags.neighSuppress)) {
    changed.push([`neigh_suppress ${onOff(flags.neighSuppress)}`, true]);
  }
  return changed;
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off';
}

function resulting(link: Link, now: ObservedLink | undefined): ObservedLink {
  const port = link.kind === 'bridge' ? null : link;
  return {
    name: link.name,
    kind: now?.kind ?? (link.kind === 'tap' ? 'tun' : link.kind),
    up: true,
    mtu: link.mtu,
    master: port?.master ?? null,
    addressGeneration: 'none',
    learning: port?.flags.learning ?? null,
    flood: port?.flags.flood ?? null,
    neighSuppress: port?.flags.neighSuppress ?? null,
    multicastSnooping: link.kind === 'bridge' ? false : null,
    noLinklocalLearn: link.kind === 'bridge' ? true : null,
    vni: link.kind === 'vxlan' ? link.vni : link.kind === 'vlan' ? link.vlanId : null,
    local: link.kind === 'vxlan' ? link.local : null,
    vxlanLearning: link.kind === 'vxlan' ? false : null,
    vxlanPort: link.kind === 'vxlan' ? VXLAN_PORT : null,
  };
}

function removal(link: ObservedLink): LinkChange {
  const object = ownerOfName(link.name);
  return {
    name: link.name,
    object,
    lines: [{ line: `link del dev ${link.name}`, object }],
    after: null,
    newPeer: null,
  };
}

/** What is left over has no object any more: name the kind and what is known of the id. */
function ownerOfName(name: string): ObjectKey {
  return name.startsWith('tap')
    ? `port/${name.slice(3)}`
    : `network/${name.replace(/^(brq|brv|vxlan-)/, '')}`;
}

function diffFdb(
  desired: LinksDesired,
  observed: LinksObserved,
  make: readonly LinkChange[],
): LinksDiff['fdb'] {
  // a device made anew or moved to another bridge has lost its entries
  const emptied = new Set(
    make
      .filter((change) => change.lines.some(({ line }) => /^link add|^tuntap add| master /.test(line)))
      .map((c) => c.name),
  );
  const current = new Map([...observed.fdb].filter(([, entry]) => !emptied.has(entry.dev)));
  const changes: LinksDiff['fdb'][number][] = [];
  for (const [key, entry] of desired.fdb) {
    if (current.get(key)?.dst === entry.dst && current.has(key)) continue;
    changes.push({ line: { line: fdbAddition(entry), object: entry.owner }, key, entry });
  }
  for (const [key, entry] of current) {
    const link = desired.links.get(entry.dev);
    if (!link || link.kind === 'veth' || desired.fdb.has(key)) continue;
    const where =
      entry.dst === null ? 'master' : entry.mac === '00:00:00:00:00:00' ? `dst ${entry.dst}` : 'self';
    const line = `fdb del ${entry.mac} dev ${entry.dev} ${where}`;
    changes.push({ line: { line, object: link.owner, optional: true }, key, entry: null });
  }
  return changes;
}

function fdbAddition(entry: FdbEntry): string {
  if (entry.dst === null) return `fdb replace ${entry.mac} dev ${entry.dev} master static`;
  const key = fdbKey(entry);
  if (key.endsWith(' self')) return `fdb replace ${entry.mac} dev ${entry.dev} dst ${entry.dst} self static`;
  return `fdb append ${entry.mac} dev ${entry.dev} dst ${entry.dst}`;
}
