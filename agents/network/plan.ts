import type { PlanStep } from '../../src/protocol/messages.js';
import type { NetworkContext } from './config.js';
import type { DesiredHost } from './desired.js';
import { dnsmasqSteps } from './dhcp/process.js';
import { diffSets, setSteps } from './firewall/ipset/sets.js';
import { diffTables, tableSteps } from './firewall/iptables/diff.js';
import { type DesiredElements, diffElements, needsReplacement } from './firewall/nft/diff.js';
import type { ObservedTable } from './firewall/nft/observe.js';
import { type NftTable, PORT_SECURITY, ZONES } from './firewall/nft/tables.js';
import { HOST_SYSCTLS, wrongSysctls } from './firewall/sysctls.js';
import { diffLinks } from './links/diff.js';
import { type Failures, SHARED } from './model.js';
import { namespaceSteps } from './namespace/diff.js';
import { namespaceOwner } from './namespace/model.js';
import type { ObservedHost } from './observed.js';
import { leftOverNamespaces, leftOverServices, serviceOwner } from './reconcile.js';

/**
 * The diffs that an apply would carry out now, as steps to read. Empty on a host that matches its spec. `usedTaps`: devices that
 * a guest holds.
 */
export function planSteps(
  context: NetworkContext,
  desired: DesiredHost,
  observed: ObservedHost,
  failures: Failures,
  usedTaps: ReadonlySet<string> = new Set(),
): PlanStep[] {
  const steps: PlanStep[] = failures.keys().map((object) => ({
    object,
    action: 'cannot be done',
    detail: failures.get(object)!.message,
  }));
  const links = diffLinks(
    desired,
    observed.links,
    (netns, device) => observed.hasDevice(netns, device),
    desired.named,
  );
  const failed = failures.blocked;
  steps.push(
    ...wrongSysctls(HOST_SYSCTLS, observed.sysctls).map((detail) => ({
      object: SHARED,
      action: 'sysctl',
      detail,
    })),
  );
  for (const { lines } of links.make) {
    steps.push(...lines.map(({ object, line }) => ({ object, action: 'ip', detail: line })));
  }
  steps.push(...links.fdb.map(({ line: { object, line } }) => ({ object, action: 'bridge', detail: line })));
  for (const namespace of desired.namespaces.values()) {
    steps.push(...namespaceSteps(namespace, observed.namespaces.get(namespace.name) ?? null));
  }
  steps.push(...setSteps(diffSets(desired.firewall.sets, observed.sets)));
  for (const diff of diffTables(desired.firewall.tables(failed), observed.tables))
    steps.push(...tableSteps(diff, ''));
  steps.push(...elementSteps(ZONES, desired.firewall.zones, observed.zones));
  steps.push(...elementSteps(PORT_SECURITY, desired.firewall.portSecurity(failed), observed.portSecurity));
  for (const service of desired.services.values()) {
    const found = observed.dnsmasq.get(service.name) ?? { files: new Map(), running: false };
    steps.push(...dnsmasqSteps(context, service, found));
  }
  for (const name of leftOverServices(desired, observed)) {
    steps.push({ object: serviceOwner(name), action: 'stop', detail: `dnsmasq of ${name}` });
  }
  for (const { name, lines } of links.remove) {
    // a guest that nobody names holds it: it stays until that guest is gone
    if (usedTaps.has(name)) continue;
    steps.push(...lines.map(({ object, line }) => ({ object, action: 'ip', detail: line })));
  }
  for (const name of leftOverNamespaces(desired, observed)) {
    steps.push({ object: namespaceOwner(name), action: 'ip netns del', detail: name });
  }
  return steps;
}

function elementSteps(table: NftTable, desired: DesiredElements, observed: ObservedTable): PlanStep[] {
  const name = `${table.family} ${table.name}`;
  const steps: PlanStep[] = diffElements(table, desired, observed).map(
    ({ action, set, element, object }) => ({
      object: object ?? SHARED,
      action: `nft ${action}`,
      detail: `${name} ${set} { ${element} }`,
    }),
  );
  if (needsReplacement(table, observed))
    steps.unshift({ object: SHARED, action: 'nft', detail: `replace table ${name}` });
  return steps;
}
