import { cidrContains } from '../../../src/net/cidr.js';
import { ipVersion } from '../../../src/net/ip.js';
import type {
  DhcpObject,
  ObjectKey,
  PortObject,
  SecurityGroupObject,
  Spec,
} from '../../../src/protocol/objects.js';
import type { NetworkBridge } from '../bridge/desired.js';
import { objectOf } from '../model.js';
import { type DesiredSet, type DesiredSets, setMembers } from './ipset/sets.js';
import type { DesiredTables } from './iptables/model.js';
import type { DesiredElements } from './nft/diff.js';
import { type PortElement, portElements } from './nft/elements.js';
import { type PortChains, portChains } from './port-chains.js';
import { type FilteredPort, hostTables } from './tables.js';

interface RenderedPort {
  /** Revisions of all that the port's filters are made from. */
  readonly signature: string;
  readonly elements: readonly PortElement[];
  readonly chains: PortChains | null;
}

type Elements = Map<string, Map<string, ObjectKey>>;

/** The firewall that the spec asks for: collected object by object, then read by the diffs. */
export class DesiredFirewall {
  /** Rendered ports of earlier computations: what has not changed is not rendered again. */
  readonly cache: Map<ObjectKey, RenderedPort>;
  readonly ports: FilteredPort[] = [];
  readonly portBodies = new Map<ObjectKey, PortObject>();
  readonly #trusted: { readonly tap: string; readonly owner: ObjectKey }[] = [];
  readonly #portSecurity: Elements = new Map();
  readonly #zones: Elements = new Map();
  readonly #zoneNumbers = new Map<string, number>();
  readonly #bridges = { tenant: false, provider: new Set<string>() };
  readonly #sets = new Map<string, DesiredSet>();

  constructor(cache: Map<ObjectKey, RenderedPort>) {
    this.cache = cache;
  }

  addBridge(owner: ObjectKey, bridge: NetworkBridge, zone: number): void {
    if (bridge.provider) this.#bridges.provider.add(bridge.name);
    else this.#bridges.tenant = true;
    put(this.#zones, bridge.provider ? 'provider_zones' : 'zones', `${bridge.name} : ${zone}`, owner);
    this.#zoneNumbers.set(owner.slice('network/'.length), zone);
  }

  /** Number of a network's conntrack zone. */
  zoneOf(networkId: string): number | undefined {
    return this.#zoneNumbers.get(networkId);
  }

  /** Our own end of a router or DHCP server. */
  addTrusted(owner: ObjectKey, tap: string): void {
    this.#trusted.push({ tap, owner });
    put(this.#portSecurity, 'trusted', tap, owner);
    put(this.#portSecurity, 'ready', tap, owner);
  }

  /** Every host has its own DHCP server with the same addresses: they must not meet through the tunnel. */
  addDhcp(owner: ObjectKey, dhcp: DhcpObject, tunnel: string | null): void {
    put(this.#portSecurity, 'dhcp_mac', dhcp.mac, owner);
    if (tunnel === null) return;
    for (const cidr of dhcp.addresses) {
      const address = cidr.split('/')[0]!;
      if (ipVersion(address) === 4) put(this.#portSecurity, 'dhcp_arp', `${tunnel} . ${address}`, owner);
    }
  }

  addPort(key: ObjectKey, revision: string, port: PortObject, spec: Spec): void {
    const groups = port.security_group_ids.map((id) => spec[`security-group/${id}`]);
    const dhcp = spec[`dhcp/${port.network_id}`];
    const signature = [
      revision,
      ...groups.map((group) => group?.revision ?? '-'),
      dhcp?.revision ?? '-',
    ].join(' ');
    let rendered = this.cache.get(key);
    if (rendered?.signature !== signature) {
      const bodies = groups.map((group) => group?.body as SecurityGroupObject | undefined);
      const missing = port.security_group_ids.filter((_, index) => !bodies[index]);
      if (missing.length && port.port_security) {
        throw new Error(`security group ${missing[0]} of port ${port.id} is not in what the controller sent`);
      }
      const known = bodies.filter((body) => body !== undefined);
      const chains = port.port_security
        ? portChains(port, known, objectOf(spec, 'dhcp', port.network_id))
        : null;
      rendered = { signature, elements: portElements(port), chains };
      this.cache.set(key, rendered);
    }
    this.portBodies.set(key, port);
    this.ports.push({ key, id: port.id, chains: rendered.chains });
    for (const { set, element } of rendered.elements) put(this.#portSecurity, set, element, key);
  }

  /** Sets of group members that some port's rules refer to. A group without members here is an empty set. */
  addMemberSets(spec: Spec): void {
    for (const { key, chains } of this.ports) {
      for (const { name, family, groupId } of chains?.memberSets ?? []) {
        if (this.#sets.has(name)) continue;
        const members = objectOf(spec, 'group-members', `${groupId}:${this.portBodies.get(key)!.network_id}`);
        const addresses = (family === 4 ? members?.ipv4 : members?.ipv6) ?? [];
        const owner: ObjectKey = members
          ? `group-members/${groupId}:${this.portBodies.get(key)!.network_id}`
          : key;
        this.#sets.set(name, { owner, family, members: setMembers(addresses) });
      }
    }
  }

  get sets(): DesiredSets {
    return this.#sets;
  }

  get zones(): DesiredElements {
    return this.#zones;
  }

  /** Elements of the port security table, without those of the given objects: a port that failed stays closed. */
  portSecurity(without?: (owner: ObjectKey) => boolean): DesiredElements {
    if (!without) return this.#portSecurity;
    return new Map(
      [...this.#portSecurity].map(([set, elements]) => [
        set,
        new Map([...elements].filter(([, owner]) => !without(owner))),
      ]),
    );
  }

  /** iptables and ip6tables of the host, without the given ports. */
  tables(without: (owner: ObjectKey) => boolean = () => false): DesiredTables {
    return hostTables(
      this.ports.filter(({ key }) => !without(key)),
      this.#trusted.filter(({ owner }) => !without(owner)).map(({ tap }) => tap),
      { tenant: this.#bridges.tenant, provider: [...this.#bridges.provider].sort() },
    );
  }

  /** Ports whose addresses include the given one, on one network. */
  portsWithAddress(networkId: string, address: string): ObjectKey[] {
    const found: ObjectKey[] = [];
    for (const [key, port] of this.portBodies) {
      if (port.network_id !== networkId) continue;
      const pairs = port.allowed_address_pairs.map(({ ip_address }) => ip_address);
      if (port.fixed_ips.includes(address) || pairs.some((pair) => cidrContains(pair, address)))
        found.push(key);
    }
    return found;
  }
}

function put(elements: Elements, set: string, element: string, owner: ObjectKey): void {
  const found = elements.get(set) ?? new Map<string, ObjectKey>();
  elements.set(set, found);
  found.set(element, owner);
}
