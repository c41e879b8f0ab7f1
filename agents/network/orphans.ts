import type { Spec } from '../../src/protocol/objects.js';
import { OrphanRefused } from '../orphans.js';
import type { Orphan } from '../part.js';
import type { NetworkContext } from './config.js';
import { namesOf } from './desired.js';
import { dnsmasqDirectory, listDnsmasq, removeDnsmasq } from './dhcp/process.js';
import { isOurLink } from './links/model.js';
import { observeLinks, usedTaps } from './links/observe.js';
import { removeNamespace } from './namespace/apply.js';
import { namespaceOwner } from './namespace/model.js';
import { listNamespaces } from './namespace/observe.js';
import { serviceOwner } from './reconcile.js';

/**
 * Namespaces, devices and dnsmasq processes that bear our names and that no object of the spec names. A host that acts on its spec
 * takes them away by itself, but for taps that a guest holds; a host that only observes keeps them all.
 */
export async function networkOrphans(context: NetworkContext, spec: Spec): Promise<readonly Orphan[]> {
  const named = new Set(namesOf(spec));
  const [namespaces, { links }, services, used] = await Promise.all([
    listNamespaces(context),
    observeLinks(context),
    listDnsmasq(context),
    usedTaps(context),
  ]);
  const devices = [...links.values()]
    .filter((link) => isOurLink(link, context.config.underlay_ip) && !named.has(link.name))
    .map((link): Orphan => {
      const kind = KINDS[link.kind] ?? 'tap';
      const holder = used.has(link.name) && kind === 'tap' ? ', held by a guest' : '';
      return { kind, name: link.name, detail: `${link.master ? `in ${link.master}` : 'no master'}${holder}` };
    });
  return [
    ...namespaces
      .filter((name) => !named.has(name))
      .map(
        (name): Orphan => ({
          kind: 'namespace',
          name,
          object: namespaceOwner(name),
          detail: `/run/netns/${name}`,
        }),
      ),
    ...devices,
    ...services
      .filter((name) => !named.has(name))
      .map(
        (name): Orphan => ({
          kind: 'dnsmasq',
          name,
          object: serviceOwner(name),
          detail: dnsmasqDirectory(context, name),
        }),
      ),
  ];
}

/** Takes one of them away. Throws OrphanRefused for what a guest holds. */
export async function removeNetworkOrphan(context: NetworkContext, { kind, name }: Orphan): Promise<void> {
  if (kind === 'namespace') return await removeNamespace(context, name);
  if (kind === 'dnsmasq') return await removeDnsmasq(context, name);
  if (kind === 'tap' && (await usedTaps(context)).has(name)) {
    throw new OrphanRefused(`a running guest holds ${name}: remove its domain first`);
  }
  if (kind === 'bridge') {
    const { links } = await observeLinks(context);
    const plugged = [...links.values()].filter((link) => link.master === name).map((link) => link.name);
    if (plugged.length > 0) {
      throw new OrphanRefused(`${plugged.join(', ')} is plugged into ${name}: remove that first`);
    }
  }
  await context.host.run('ip', ['link', 'del', 'dev', name]);
}

/** What operators call the devices that we make, by what the kernel calls them. */
const KINDS: Readonly<Record<string, string>> = { bridge: 'bridge', vxlan: 'vxlan', vlan: 'vlan' };
