import type { NetworkContext } from './config.js';
import type { DesiredHost } from './desired.js';
import { dnsmasqSteps } from './dhcp/process.js';
import { diffSets } from './firewall/ipset/sets.js';
import { diffTables } from './firewall/iptables/diff.js';
import { diffElements, needsReplacement } from './firewall/nft/diff.js';
import { PORT_SECURITY, ZONES } from './firewall/nft/tables.js';
import { elementId, type Hold, namespaceId, serviceId, tableId } from './hold.js';
import { diffLinks, type LinkChange } from './links/diff.js';
import { namespaceSteps } from './namespace/diff.js';
import type { ObservedHost } from './observed.js';

/**
 * What is missing and only to be reported, but that something which is now made or changed cannot do without: a deleted bridge that a
 * new port is to be plugged into, a set that new rules name. Gives the ids of those things in the hold, with what goes with them.
 */
export function neededOf(
  context: NetworkContext,
  desired: DesiredHost,
  observed: ObservedHost,
  hold: Hold,
): ReadonlySet<string> {
  if (hold.isEmpty) return new Set();
  const needed = new Set<string>();
  // what is released may itself need what is held: until nothing is added
  for (let size = -1; size !== needed.size; ) {
    size = needed.size;
    const rest = hold.without(needed);
    neededPlumbing(context, desired, observed, rest, needed);
    neededChains(desired, observed, rest, needed);
    neededTables(desired, observed, rest, needed);
  }
  return hold.among(needed);
}

function neededPlumbing(
  context: NetworkContext,
  desired: DesiredHost,
  observed: ObservedHost,
  hold: Hold,
  needed: Set<string>,
): void {
  const all = diffLinks(
    desired,
    observed.links,
    (netns, device) => observed.hasDevice(netns, device),
    desired.named,
  );
  const free = hold.links(all, desired);
  const held = all.make.filter((change) => !free.make.includes(change));
  const namespaces = [...desired.namespaces.values()].filter(
    (one) => namespaceSteps(one, observed.namespaces.get(one.name) ?? null).length > 0,
  );
  const freeNamespaces = new Set(hold.namespaces(namespaces).map(({ name }) => name));
  const services = hold.services(
    [...desired.services.values()].filter((one) => {
      const found = observed.dnsmasq.get(one.name) ?? { files: new Map(), running: false };
      return dnsmasqSteps(context, one, found).length > 0;
    }),
  );
  const made = new Set(free.make.filter(isMade).map(({ name }) => name));
  const masters = new Set(free.make.map(({ name }) => masterOf(desired, name)));
  const forwarding = new Set(free.fdb.filter(({ entry }) => entry !== null).map(({ entry }) => entry!.dev));
  const inner = new Set(services.flatMap(({ devices }) => devices));
  for (const change of held) {
    const { name } = change;
    const link = desired.links.get(name);
    const end = link?.kind === 'veth' ? link : null;
    const wanted =
      // a bridge that is made again gets all its ports back, or it would be one of nobody
      made.has(masterOf(desired, name) ?? '') ||
      (isMade(change) &&
        (masters.has(name) ||
          forwarding.has(name) ||
          (end !== null && (freeNamespaces.has(end.netns) || inner.has(end.peer)))));
    if (wanted) needed.add(`link ${name}`);
  }
  // a device that is made again or moved has lost its entries
  const changed = new Set(free.make.map(({ name }) => name));
  for (const { key, entry } of all.fdb) if (entry && changed.has(entry.dev)) needed.add(`fdb ${key}`);
  const entered = new Set(services.map(({ netns }) => netns));
  for (const { name } of free.make) {
    const link = desired.links.get(name);
    if (link?.kind === 'veth') entered.add(link.netns);
  }
  for (const namespace of namespaces) {
    if (observed.names.has(namespace.name) || !entered.has(namespace.name)) continue;
    needed.add(namespaceId(namespace));
    for (const service of desired.services.values())
      if (service.netns === namespace.name) needed.add(serviceId(service));
  }
}

/** Also of a pair whose other end is gone with its namespace, which a process there keeps alive. */
function isMade({ lines }: LinkChange): boolean {
  return lines.some(({ line }) => /^(link|tuntap) add /.test(line));
}

function masterOf(desired: DesiredHost, name: string): string | null {
  const link = desired.links.get(name);
  return link && link.kind !== 'bridge' ? link.master : null;
}

/** Sets and chains that rules refer to which are now written. */
function neededChains(desired: DesiredHost, observed: ObservedHost, hold: Hold, needed: Set<string>): void {
  const all = diffTables(desired.firewall.tables(), observed.tables);
  const names = new Set<string>();
  for (const { key, chains, jumps } of hold.tables(all)) {
    const rules = [...chains, ...jumps].flatMap((change) => change.rules ?? []);
    const targets = new Set(rules.flatMap((rule) => / -[jg] (\S+)/.exec(` ${rule}`)?.[1] ?? []));
    for (const rule of rules) for (const match of rule.matchAll(/--match-set (\S+)/g)) names.add(match[1]!);
    const missing = all.find((diff) => diff.key === key)!.chains.filter(({ before }) => before === null);
    for (const { chain } of missing) if (targets.has(chain)) needed.add(`chain ${key} ${chain}`);
  }
  const sets = diffSets(desired.firewall.sets, observed.sets);
  for (const { set } of hold.sets(sets, desired).make) names.add(set);
  for (const { set, member } of sets.make) if (member === null && names.has(set)) needed.add(`set ${set}`);
}

/** The nft tables, which elements are now added to; anew, a table closes each port whose elements are not in it. */
function neededTables(desired: DesiredHost, observed: ObservedHost, hold: Hold, needed: Set<string>): void {
  const both = [
    [ZONES, desired.firewall.zones, observed.zones],
    [PORT_SECURITY, desired.firewall.portSecurity(), observed.portSecurity],
  ] as const;
  for (const [table, wanted, found] of both) {
    if (!needsReplacement(table, found)) continue;
    const all = diffElements(table, wanted, found);
    const added = hold.elements(table, all).filter(({ action }) => action === 'add');
    if (!added.some(({ set }) => !found.elements.has(set))) continue;
    needed.add(tableId(table));
    for (const change of all) needed.add(elementId(table, change));
  }
}
