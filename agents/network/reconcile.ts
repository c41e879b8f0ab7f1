import { tapName } from '../../src/net/names.js';
import { parseKey } from '../../src/protocol/keys.js';
import type { ObjectKey, Spec } from '../../src/protocol/objects.js';
import { eachLimited } from './concurrency.js';
import type { NetworkContext } from './config.js';
import type { DesiredHost } from './desired.js';
import { applyDnsmasq, removeDnsmasq } from './dhcp/process.js';
import { applyFirewall, closePorts, openPorts, prepareFirewall } from './firewall/apply.js';
import { Hold } from './hold.js';
import { applyFdb, applyLinks } from './links/apply.js';
import { diffLinks, type LinkChange, type LinksDiff } from './links/diff.js';
import { usedTaps } from './links/observe.js';
import { type Failures, objectsOf } from './model.js';
import { announce, applyNamespace, prepareNamespace, removeNamespace } from './namespace/apply.js';
import { namespaceOwner } from './namespace/model.js';
import type { ObservedHost } from './observed.js';

/** One apply: from what, to what. */
export interface Change {
  readonly spec: Spec;
  /** The spec of the apply before; empty after a start. */
  readonly before: Spec;
  /** What the apply was asked for; null: everything. */
  readonly changed: ReadonlySet<ObjectKey> | null;
  readonly desired: DesiredHost;
  readonly observed: ObservedHost;
  /** Conntrack zones of networks that are gone. */
  readonly released: readonly number[];
  /** What others have changed and what is to be left so. */
  readonly hold?: Hold;
}

/**
 * Makes the host what is desired. The order keeps ports closed until all their filters stand: base tables, closing,
 * namespaces, devices, rules, opening; what nobody wants any more goes last.
 */
export async function reconcile(context: NetworkContext, change: Change, failures: Failures): Promise<void> {
  const { desired, observed, hold = new Hold() } = change;
  const namespaces = hold.namespaces(desired.namespaces.values());
  await prepareFirewall(context, desired.firewall, observed, hold, failures);
  await closePorts(context, desired.firewall, observed, failures);
  await eachLimited(namespaces, 4, async (namespace) => {
    const known = observed.names.has(namespace.name) ? observed.namespaces.get(namespace.name) : undefined;
    await guard(failures, namespace.owner, async () => {
      if (observed.broken.has(namespace.name)) {
        await context.host.run('ip', ['netns', 'del', namespace.name], { mounts: true });
        observed.broken.delete(namespace.name);
      }
      observed.namespaces.set(namespace.name, await prepareNamespace(context, namespace, known));
      observed.names.add(namespace.name);
    });
  });
  const raised = namespaces.filter(
    ({ name, owner }) => owner.startsWith('router/') && !observed.namespaces.get(name)?.devices.size,
  );
  const newPeers = new Set<string>();
  const peerExists = (netns: string, device: string) => observed.hasDevice(netns, device);
  const links = hold.links(diffLinks(desired, observed.links, peerExists, desired.named), desired);
  await makeLinks(context, links, observed, failures, newPeers);
  await Promise.all([
    eachLimited(namespaces, 4, async (namespace) => {
      const known = observed.namespaces.get(namespace.name);
      if (!known) return;
      const clean = await applyNamespace(context, namespace, known, failures);
      if (!clean) observed.forgetNamespace(namespace.name);
    }),
    applyFirewall(context, { ...change, hold }, failures),
  ]);
  await Promise.all([
    openPorts(context, desired.firewall, observed, hold, failures).then(() =>
      eachLimited(raised, 4, (namespace) =>
        guard(failures, namespace.owner, () => announce(context, namespace, failures)),
      ),
    ),
    ...hold.services(desired.services.values()).map((service) =>
      guard(failures, service.owner, async () => {
        const found = observed.dnsmasq.get(service.name) ?? { files: new Map(), running: false };
        observed.dnsmasq.set(service.name, found);
        observed.services.add(service.name);
        const newDevice = service.devices.some((device) => newPeers.has(device));
        await applyDnsmasq(context, service, found, newDevice);
      }),
    ),
  ]);
  await removeLeftOvers(context, change, links, failures);
}

async function makeLinks(
  context: NetworkContext,
  links: LinksDiff,
  observed: ObservedHost,
  failures: Failures,
  newPeers: Set<string>,
): Promise<void> {
  const clean = await applyLinks(
    context,
    links.make,
    observed.links,
    failures,
    ({ netns, device, mac, mtu }) => {
      newPeers.add(device);
      const namespace = observed.namespaces.get(netns);
      if (!namespace) return;
      namespace.devices.set(device, { mac, mtu, up: false, addresses: new Set() });
      for (const [key, how] of namespace.routes)
        if (how.includes(`dev ${device}`)) namespace.routes.delete(key);
    },
  );
  const cleanFdb = await applyFdb(context, links.fdb, observed.links, failures);
  if (!clean || !cleanFdb) observed.markStale('links');
}

/** Removes namespaces, DHCP servers and devices that bear our names and that no object of the spec names. */
async function removeLeftOvers(
  context: NetworkContext,
  { before, changed, desired, observed }: Change,
  links: LinksDiff,
  failures: Failures,
): Promise<void> {
  for (const name of leftOverServices(desired, observed)) {
    await guard(failures, serviceOwner(name), async () => {
      await removeDnsmasq(context, name);
      observed.dnsmasq.delete(name);
      observed.services.delete(name);
    });
  }
  const unused = await withoutUsedTaps(context, links.remove, portsByTap(before, changed), failures);
  const clean = await applyLinks(context, unused, observed.links, failures, () => {});
  if (!clean) observed.markStale('links');
  for (const name of leftOverNamespaces(desired, observed)) {
    await guard(failures, namespaceOwner(name), async () => {
      await removeNamespace(context, name);
      observed.names.delete(name);
      observed.namespaces.delete(name);
    });
  }
}

/** A tap that a guest still holds stays (closed as it is), and its port's removal is an error until the guest lets go. */
async function withoutUsedTaps(
  context: NetworkContext,
  changes: readonly LinkChange[],
  owners: ReadonlyMap<string, ObjectKey>,
  failures: Failures,
): Promise<readonly LinkChange[]> {
  if (!changes.some(({ name }) => name.startsWith('tap'))) return changes;
  const used = await usedTaps(context);
  return changes.filter(({ name, object }) => {
    if (!used.has(name)) return true;
    failures.add(owners.get(name) ?? object, {
      message: `device ${name} is kept, closed, because a running guest holds it`,
      hint: 'It goes by itself when the guest has stopped.',
    });
    return false;
  });
}

/** Ports by their devices, also those that left before this agent was started. */
function portsByTap(before: Spec, changed: ReadonlySet<ObjectKey> | null): Map<string, ObjectKey> {
  const leaving = [...(changed ?? [])].filter((key) => key.startsWith('port/'));
  const keys = [...leaving, ...objectsOf(before, 'port').map(({ key }) => key)];
  return new Map(keys.map((key) => [tapName(parseKey(key).id), key]));
}

/** dnsmasq processes that nobody wants. */
export function leftOverServices(desired: DesiredHost, observed: ObservedHost): string[] {
  return [...observed.services].filter((name) => !desired.services.has(name) && !desired.named.has(name));
}

/** Who a dnsmasq served, from its name. */
export function serviceOwner(name: string): ObjectKey {
  return name.startsWith('dhcp/') ? (name as ObjectKey) : `router/${name.slice('ra/'.length)}`;
}

/** Namespaces of ours that nobody wants. */
export function leftOverNamespaces(desired: DesiredHost, observed: ObservedHost): string[] {
  return [...observed.names].filter((name) => !desired.named.has(name));
}

/** Runs something whose failure is one object's failure. */
async function guard(failures: Failures, object: ObjectKey, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    failures.addThrown(object, error);
  }
}
