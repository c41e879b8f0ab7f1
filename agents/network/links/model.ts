import type { ObjectKey } from '../../../src/protocol/objects.js';

interface LinkBase {
  readonly name: string;
  readonly owner: ObjectKey;
  readonly mtu: number;
}

/** Flags of a bridge port. */
export interface PortFlags {
  readonly learning: boolean;
  readonly flood: boolean;
  readonly neighSuppress: boolean;
}

/** A bridge of ours. Provider bridges such as br-ex are not links of ours. */
export interface BridgeLink extends LinkBase {
  readonly kind: 'bridge';
}

export interface VxlanLink extends LinkBase {
  readonly kind: 'vxlan';
  readonly master: string;
  readonly flags: PortFlags;
  readonly vni: number;
  readonly local: string;
}

export interface VlanLink extends LinkBase {
  readonly kind: 'vlan';
  readonly master: string;
  readonly flags: PortFlags;
  readonly parent: string;
  readonly vlanId: number;
}

/** A guest's device, kept while its port is in the spec so that a running guest never loses it. */
export interface TapLink extends LinkBase {
  readonly kind: 'tap';
  readonly master: string;
  readonly flags: PortFlags;
  readonly mac: string;
}

/** The host's end of a pair whose other end is in a namespace. */
export interface VethLink extends LinkBase {
  readonly kind: 'veth';
  readonly master: string;
  readonly flags: PortFlags;
  readonly peer: string;
  readonly netns: string;
  readonly mac: string;
}

export type Link = BridgeLink | VxlanLink | VlanLink | TapLink | VethLink;

/** A static forwarding entry. `master` entries are the bridge's, `self` entries the VXLAN device's. */
export interface FdbEntry {
  readonly dev: string;
  readonly mac: string;
  readonly dst: string | null;
  readonly owner: ObjectKey;
}

export interface LinksDesired {
  readonly links: ReadonlyMap<string, Link>;
  readonly fdb: ReadonlyMap<string, FdbEntry>;
  /** This host's end of all tunnels. */
  readonly underlay: string;
}

export const VXLAN_PORT = 4789;

/** A device as `ip -j -d link` shows it, reduced to what is compared. */
export interface ObservedLink {
  readonly name: string;
  readonly kind: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly master: string | null;
  readonly addressGeneration: string;
  readonly learning: boolean | null;
  readonly flood: boolean | null;
  /** Null: this kernel or this iproute2 does not know it. */
  readonly neighSuppress: boolean | null;
  readonly multicastSnooping: boolean | null;
  readonly noLinklocalLearn: boolean | null;
  readonly vni: number | null;
  readonly local: string | null;
  /** Whether a VXLAN device learns where senders are; null: it is none. */
  readonly vxlanLearning: boolean | null;
  /** UDP port of a VXLAN device. */
  readonly vxlanPort: number | null;
}

export interface LinksObserved {
  readonly links: Map<string, ObservedLink>;
  readonly fdb: Map<string, { readonly dev: string; readonly mac: string; readonly dst: string | null }>;
}

/** Zero MAC: where a VXLAN device floods to; there is one entry per peer, so the key holds the peer. */
export const FLOOD_MAC = '00:00:00:00:00:00';

/** Identifies a forwarding entry: a MAC has one destination, except the flooding entries. */
export function fdbKey(entry: { dev: string; mac: string; dst: string | null }): string {
  if (entry.dst === null) return `${entry.dev} ${entry.mac} master`;
  return entry.mac === FLOOD_MAC
    ? `${entry.dev} ${entry.mac} ${entry.dst}`
    : `${entry.dev} ${entry.mac} self`;
}

/**
 * Devices in the host's own namespace whose names say that they are ours. Others name their tunnels as we do (vxlan-100): one of ours
 * also has this host's underlay address, learns nothing and is in no bridge of theirs.
 */
export function isOurLink(link: ObservedLink, underlay: string): boolean {
  if (link.kind === 'bridge') return /^brq[0-9a-f-]{1,11}$/.test(link.name);
  if (link.kind === 'vxlan') {
    return (
      link.name === `vxlan-${link.vni}` &&
      link.local === underlay &&
      link.vxlanPort === VXLAN_PORT &&
      link.vxlanLearning === false &&
      (link.master === null || link.master.startsWith('brq'))
    );
  }
  if (link.kind === 'vlan') return /^brv[0-9a-f-]{1,11}$/.test(link.name);
  return /^tap[0-9a-f]{8}-[0-9a-f]{2}$/.test(link.name);
}
