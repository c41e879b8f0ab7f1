import { eachLimited } from './concurrency.js';
import type { NetworkContext } from './config.js';
import type { DesiredHost } from './desired.js';
import { listDnsmasq, type ObservedDnsmasq, observeDnsmasq } from './dhcp/process.js';
import { type ObservedSets, observeSets } from './firewall/ipset/sets.js';
import type { ObservedTables } from './firewall/iptables/model.js';
import { observeTables } from './firewall/iptables/observe.js';
import { type ObservedTable, observeTable } from './firewall/nft/observe.js';
import { PORT_SECURITY, ZONES } from './firewall/nft/tables.js';
import { HOST_SYSCTLS, readSysctls } from './firewall/sysctls.js';
import type { LinksObserved } from './links/model.js';
import { observeLinks } from './links/observe.js';
import type { ObservedNamespace } from './namespace/model.js';
import { listNamespaces, observeNamespace } from './namespace/observe.js';

/** What can be read again by itself. */
export type Region = 'links' | 'sysctls' | 'port-security' | 'zones' | 'tables' | 'sets' | 'namespaces';

const REGIONS: readonly Region[] = [
  'links',
  'sysctls',
  'port-security',
  'zones',
  'tables',
  'sets',
  'namespaces',
];

/** What ip says of a file under /run/netns that no namespace is mounted on. */
const NO_NAMESPACE = /setting the network namespace .* failed: Invalid argument/;

/**
 * What the host has, as last read or changed by us. Every successful change is noted here, so an apply reads nothing that
 * it knows; a region in which something failed is read again before the next apply.
 */
export class ObservedHost {
  /** Files under /run/netns that are no namespaces: what an interrupted `ip netns` left. They are removed before use. */
  readonly broken = new Set<string>();
  links: LinksObserved = { links: new Map(), fdb: new Map() };
  sysctls = new Map<string, string>();
  portSecurity: ObservedTable = { version: null, rules: 0, elements: new Map() };
  zones: ObservedTable = { version: null, rules: 0, elements: new Map() };
  tables: ObservedTables = new Map();
  sets: ObservedSets = new Map();
  /** Names of our namespaces. */
  names = new Set<string>();
  readonly namespaces = new Map<string, ObservedNamespace>();
  readonly dnsmasq = new Map<string, ObservedDnsmasq>();
  /** Names of the dnsmasq processes that have files here. */
  services = new Set<string>();
  readonly #stale = new Set<Region>(REGIONS);

  /** Has a region read again before it is used next; without argument, everything. */
  markStale(region?: Region): void {
    for (const each of region ? [region] : REGIONS) this.#stale.add(each);
  }

  /** Something will be read again before it is used. */
  get isStale(): boolean {
    return this.#stale.size > 0;
  }

  /** Forgets one namespace, so that it is read again. */
  forgetNamespace(name: string): void {
    this.namespaces.delete(name);
  }

  /** Reads what is stale of the host's own namespace, all at once. */
  async refresh(context: NetworkContext): Promise<void> {
    const reads: Record<Region, () => Promise<void>> = {
      links: async () => {
        this.links = await observeLinks(context);
      },
      sysctls: async () => {
        this.sysctls = await readSysctls(context, Object.keys(HOST_SYSCTLS));
      },
      'port-security': async () => {
        this.portSecurity = await observeTable(context, PORT_SECURITY);
      },
      zones: async () => {
        this.zones = await observeTable(context, ZONES);
      },
      tables: async () => {
        this.tables = await observeTables(context, [4, 6]);
      },
      sets: async () => {
        this.sets = await observeSets(context);
      },
      namespaces: async () => {
        this.names = new Set(await listNamespaces(context));
        this.services = new Set(await listDnsmasq(context));
        this.namespaces.clear();
        this.dnsmasq.clear();
      },
    };
    await Promise.all(
      [...this.#stale].map(async (region) => {
        await reads[region]();
        this.#stale.delete(region);
      }),
    );
  }

  /** Reads the namespaces and DHCP servers that are wanted and not known yet. */
  async refreshNamespaces(context: NetworkContext, desired: DesiredHost): Promise<void> {
    const unknown = [...desired.namespaces.values()].filter(
      ({ name }) => this.names.has(name) && !this.namespaces.has(name),
    );
    await eachLimited(unknown, 4, async (namespace) => {
      try {
        this.namespaces.set(namespace.name, await observeNamespace(context, namespace));
      } catch (error) {
        // any other error may pass, and must not be taken for an absent namespace: its devices would be removed
        if (!NO_NAMESPACE.test(String(error))) throw error;
        this.names.delete(namespace.name);
        this.broken.add(namespace.name);
      }
    });
    for (const name of desired.services.keys()) {
      if (!this.dnsmasq.has(name)) this.dnsmasq.set(name, await observeDnsmasq(context, name));
    }
  }

  /** Whether a device is known to be inside a namespace. */
  hasDevice(netns: string, device: string): boolean {
    return this.namespaces.get(netns)?.devices.has(device) ?? false;
  }
}
