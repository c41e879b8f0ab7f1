import type { ObjectKey } from '../../../src/protocol/objects.js';
import type { DesiredTables, IpFamily, ObservedTables } from '../firewall/iptables/model.js';

/** A device inside a namespace: the far end of a pair that the host's devices include. */
export interface DesiredDevice {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** With prefix, canonical: `10.0.0.1/24`, `2001:db8::1/64`. */
  readonly addresses: readonly string[];
}

/** A router's or DHCP server's namespace. */
export interface DesiredNamespace {
  readonly name: string;
  readonly owner: ObjectKey;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly devices: ReadonlyMap<string, DesiredDevice>;
  /** By family and destination (`4 default`, `6 2001:db8:1::/48`): `via … dev …`. */
  readonly routes: ReadonlyMap<string, string>;
  readonly tables: DesiredTables;
  /** Tables to look at; DHCP namespaces have none. */
  readonly families: readonly IpFamily[];
}

export interface ObservedDevice {
  mac: string;
  mtu: number;
  up: boolean;
  addresses: Set<string>;
}

export interface ObservedNamespace {
  readonly sysctls: Map<string, string>;
  readonly devices: Map<string, ObservedDevice>;
  /** Static routes only: the kernel's own come and go with the addresses. */
  readonly routes: Map<string, string>;
  readonly tables: ObservedTables;
}

export type ObservedNamespaces = Map<string, ObservedNamespace>;

/** Namespaces with these prefixes are ours. */
export function isOurNamespace(name: string): boolean {
  return /^(qrouter|qdhcp)-[0-9a-f-]{36}$/.test(name);
}

/** Who a namespace served, from its name. */
export function namespaceOwner(name: string): ObjectKey {
  return name.startsWith('qrouter-') ? `router/${name.slice(8)}` : `dhcp/${name.slice(6)}`;
}
