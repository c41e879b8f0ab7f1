import type { ObjectKey } from '../../src/protocol/objects.js';
import type { NetworkContext } from './config.js';
import type { DesiredHost } from './desired.js';
import { type DnsmasqService, dnsmasqSteps } from './dhcp/process.js';
import { diffSets, type SetChange, type SetsDiff } from './firewall/ipset/sets.js';
import { diffTables, type TableDiff } from './firewall/iptables/diff.js';
import {
  type DesiredElements,
  diffElements,
  type ElementChange,
  needsReplacement,
} from './firewall/nft/diff.js';
import type { ObservedTable } from './firewall/nft/observe.js';
import { type NftTable, PORT_SECURITY, tableVersion, ZONES } from './firewall/nft/tables.js';
import { HOST_SYSCTLS, wrongSysctls } from './firewall/sysctls.js';
import { diffLinks, type LinksDiff } from './links/diff.js';
import { SHARED } from './model.js';
import { namespaceSteps } from './namespace/diff.js';
import type { DesiredNamespace } from './namespace/model.js';
import type { ObservedHost } from './observed.js';

/**
 * What is left as others have made it, since it is only to be reported: each thing with how it should be. Once something else is wanted
 * of it, it is no longer held. Closing is never held back: elements that open a port and that nobody wants are always removed.
 */
export class Hold {
  readonly #kept: ReadonlyMap<string, string>;

  constructor(kept: ReadonlyMap<string, string> = new Map()) {
    this.#kept = kept;
  }

  namespaces(all: Iterable<DesiredNamespace>): DesiredNamespace[] {
    const list = [...all];
    return this.#kept.size ? list.filter((one) => !this.#has(namespaceId(one), textOf(one))) : list;
  }

  holdsNamespace(namespace: DesiredNamespace): boolean {
    return this.#kept.size > 0 && this.#has(namespaceId(namespace), textOf(namespace));
  }

  services(all: Iterable<DnsmasqService>): DnsmasqService[] {
    const list = [...all];
    return this.#kept.size ? list.filter((one) => !this.#has(serviceId(one), textOf(one.files))) : list;
  }

  links(diff: LinksDiff, desired: DesiredHost): LinksDiff {
    if (!this.#kept.size) return diff;
    return {
      ...diff,
      make: diff.make.filter(({ name }) => !this.#has(`link ${name}`, textOf(desired.links.get(name)))),
      fdb: diff.fdb.filter(({ key, entry }) => !this.#has(`fdb ${key}`, textOf(entry))),
    };
  }

  sets(diff: SetsDiff, desired: DesiredHost): SetsDiff {
    if (!this.#kept.size) return diff;
    const free = (change: SetChange) => !this.#has(`set ${change.set}`, setText(desired, change.set));
    return { make: diff.make.filter(free), remove: diff.remove.filter(free) };
  }

  tables(diffs: readonly TableDiff[]): readonly TableDiff[] {
    if (!this.#kept.size) return diffs;
    return diffs
      .map(({ key, chains, jumps }) => ({
        key,
        chains: chains.filter((one) => !this.#has(`chain ${key} ${one.chain}`, textOf(one.rules))),
        jumps: jumps.filter((one) => !this.#has(`jump ${key} ${one.chain}`, textOf(one.rules))),
      }))
      .filter(({ chains, jumps }) => chains.length || jumps.length);
  }

  elements(table: NftTable, changes: readonly ElementChange[]): readonly ElementChange[] {
    if (!this.#kept.size) return changes;
    return changes.filter(
      (one) => one.action === 'delete' || !this.#has(elementId(table, one), textOf(one.object)),
    );
  }

  replacement(table: NftTable): boolean {
    return this.#has(tableId(table), tableVersion(table));
  }

  get sysctls(): boolean {
    return this.#has('sysctl', textOf(HOST_SYSCTLS));
  }

  /** Whether nothing is held. */
  get isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  /** Those of some ids that are held. */
  among(ids: ReadonlySet<string>): ReadonlySet<string> {
    return new Set([...ids].filter((id) => this.#kept.has(id)));
  }

  /** Without some things, by their ids. */
  without(ids: ReadonlySet<string>): Hold {
    return ids.size ? new Hold(new Map([...this.#kept].filter(([id]) => !ids.has(id)))) : this;
  }

  #has(id: string, text: string): boolean {
    return this.#kept.get(id) === text;
  }
}

/** Holds all that differs of the objects that are to be left alone. */
export function holdOf(
  context: NetworkContext,
  desired: DesiredHost,
  observed: ObservedHost,
  left: ReadonlySet<ObjectKey>,
): Hold {
  const kept = new Map<string, string>();
  const keep = (object: ObjectKey | null, id: string, text: string) => {
    if (left.has(object ?? SHARED)) kept.set(id, text);
  };
  const { firewall } = desired;
  const peerExists = (netns: string, device: string) => observed.hasDevice(netns, device);
  const links = diffLinks(desired, observed.links, peerExists, desired.named);
  for (const { name, object } of links.make) keep(object, `link ${name}`, textOf(desired.links.get(name)));
  for (const { key, entry, line } of links.fdb) keep(line.object, `fdb ${key}`, textOf(entry));
  for (const namespace of desired.namespaces.values()) {
    if (namespaceSteps(namespace, observed.namespaces.get(namespace.name) ?? null).length)
      keep(namespace.owner, namespaceId(namespace), textOf(namespace));
  }
  const sets = diffSets(firewall.sets, observed.sets);
  for (const { object, set, member } of [...sets.make, ...sets.remove]) {
    // a set that nobody wants any more is no drift
    if (member !== null || firewall.sets.has(set)) keep(object, `set ${set}`, setText(desired, set));
  }
  for (const { key, chains, jumps } of diffTables(firewall.tables(), observed.tables)) {
    for (const { chain, object, rules } of chains) keep(object, `chain ${key} ${chain}`, textOf(rules));
    for (const { chain, rules } of jumps) keep(SHARED, `jump ${key} ${chain}`, textOf(rules));
  }
  const nft: [NftTable, DesiredElements, ObservedTable][] = [
    [ZONES, firewall.zones, observed.zones],
    [PORT_SECURITY, firewall.portSecurity(), observed.portSecurity],
  ];
  for (const [table, wanted, found] of nft) {
    if (needsReplacement(table, found)) keep(SHARED, tableId(table), tableVersion(table));
    for (const change of diffElements(table, wanted, found)) {
      if (change.action === 'add') keep(change.object, elementId(table, change), textOf(change.object));
    }
  }
  if (wrongSysctls(HOST_SYSCTLS, observed.sysctls).length) keep(SHARED, 'sysctl', textOf(HOST_SYSCTLS));
  for (const service of desired.services.values()) {
    const found = observed.dnsmasq.get(service.name) ?? { files: new Map(), running: false };
    if (dnsmasqSteps(context, service, found).length)
      keep(service.owner, serviceId(service), textOf(service.files));
  }
  return new Hold(kept);
}

export function namespaceId({ name }: DesiredNamespace): string {
  return `netns ${name}`;
}

export function serviceId({ name }: DnsmasqService): string {
  return `service ${name}`;
}

export function tableId({ family, name }: NftTable): string {
  return `table ${family} ${name}`;
}

export function elementId(table: NftTable, { set, element }: ElementChange): string {
  return `element ${table.name} ${set} ${element}`;
}

function setText(desired: DesiredHost, set: string): string {
  return textOf([...(desired.firewall.sets.get(set)?.members ?? [])].sort());
}

/** How something should be, as text to compare. */
function textOf(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) => {
      if (inner instanceof Map) return [...inner];
      return inner instanceof Set ? [...inner] : inner;
    }) ?? ''
  );
}
