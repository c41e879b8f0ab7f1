import {
  bridgeName,
  dhcpDeviceName,
  dhcpNamespace,
  routerGatewayName,
  routerInterfaceName,
  routerNamespace,
  tapName,
  vxlanName,
} from '../../src/net/names.js';
import type { NetworkObject, ObjectKey, Spec } from '../../src/protocol/objects.js';
import { bridgeOf, missingBridgeHint, type NetworkBridge, providerBridge } from './bridge/desired.js';
import type { NetworkConfig } from './config.js';
import { dhcpNamespaceOf } from './dhcp/desired.js';
import { renderDnsmasq } from './dhcp/dnsmasq.js';
import { type DnsmasqService, dnsmasqDirectory } from './dhcp/process.js';
import { DesiredFirewall } from './firewall/desired.js';
import type { FdbEntry, Link, VethLink } from './links/model.js';
import { fdbKey } from './links/model.js';
import { type Failures, objectsOf } from './model.js';
import type { DesiredNamespace } from './namespace/model.js';
import { tapEntry, tapLink } from './port/desired.js';
import { routerAdvertiser } from './router/advertise.js';
import { routerNamespaceOf } from './router/desired.js';
import { vxlanEntries, vxlanLink } from './vxlan/desired.js';

/** Everything that the network part wants on this host. */
export interface DesiredHost {
  readonly links: ReadonlyMap<string, Link>;
  readonly fdb: ReadonlyMap<string, FdbEntry>;
  readonly underlay: string;
  readonly namespaces: ReadonlyMap<string, DesiredNamespace>;
  /** By name. */
  readonly services: ReadonlyMap<string, DnsmasqService>;
  readonly firewall: DesiredFirewall;
  /** Devices and namespaces of objects in the spec, also of those that failed: they are never removed. */
  readonly named: ReadonlySet<string>;
}

/** What the computation needs to know besides the spec. */
export interface DesiredInputs {
  readonly config: NetworkConfig;
  readonly hasBridge: (name: string) => boolean;
  readonly zoneOf: (networkId: string) => number;
  readonly portCache: DesiredFirewall['cache'];
}

/**
 * Computes what a host should have from its spec. An object that cannot be had (a bridge is missing, a network is not in
 * the spec) becomes a failure and is left out; the others are not affected.
 */
export function desiredHost(spec: Spec, inputs: DesiredInputs, failures: Failures): DesiredHost {
  const builder = new Builder(inputs, failures);
  for (const name of namesOf(spec)) builder.named.add(name);
  for (const { key, body } of objectsOf(spec, 'network'))
    builder.attempt(key, () => builder.network(key, body));
  for (const { key, body } of objectsOf(spec, 'dhcp')) {
    builder.attempt(key, () => {
      const { port_id, mac, mtu, network_id } = body;
      const namespace = dhcpNamespaceOf(body, key);
      builder.plug(key, namespace.name, dhcpDeviceName(port_id), { port_id, network_id, mac, mtu });
      builder.namespaces.set(namespace.name, namespace);
      const name = `dhcp/${network_id}`;
      builder.services.set(name, {
        name,
        owner: key,
        netns: namespace.name,
        devices: [dhcpDeviceName(port_id)],
        files: renderDnsmasq(body, dnsmasqDirectory(inputs, name)),
      });
      builder.firewall.addDhcp(key, body, builder.networkOf(network_id).tunnel);
    });
  }
  for (const { key, body } of objectsOf(spec, 'router')) {
    if (!body.admin_state_up) continue;
    builder.attempt(key, () => {
      const namespace = routerNamespaceOf(body, key, (message) => failures.addPartial(key, { message }));
      for (const port of body.interfaces) {
        builder.plug(key, namespace.name, routerInterfaceName(port.port_id), port);
      }
      if (body.external) {
        builder.plug(key, namespace.name, routerGatewayName(body.external.port_id), body.external);
      }
      builder.namespaces.set(namespace.name, namespace);
      const advertiser = routerAdvertiser(body, key, spec, inputs);
      if (advertiser) builder.services.set(advertiser.name, advertiser);
    });
  }
  for (const { key, revision, body } of objectsOf(spec, 'port')) {
    builder.attempt(key, () => {
      const { bridge } = builder.networkOf(body.network_id);
      builder.addLink(tapLink(body, key, bridge.name));
      builder.addEntry(tapEntry(body, key));
      builder.firewall.addPort(key, revision, body, spec);
    });
  }
  builder.firewall.addMemberSets(spec);
  return builder;
}

/** Names of the devices, namespaces and services of all objects in the spec. */
export function* namesOf(spec: Spec): Generator<string> {
  for (const { body } of objectsOf(spec, 'network')) {
    yield bridgeName(body.id);
    if (body.type === 'vxlan' && body.segmentation_id !== null) yield vxlanName(body.segmentation_id);
    if (body.type === 'vlan') yield vlanName(body.id);
  }
  for (const { body } of objectsOf(spec, 'dhcp')) {
    yield tapName(body.port_id);
    yield dhcpNamespace(body.network_id);
    yield `dhcp/${body.network_id}`;
  }
  for (const { body } of objectsOf(spec, 'router')) {
    if (!body.admin_state_up) continue;
    yield routerNamespace(body.id);
    for (const port of [...body.interfaces, ...(body.external ? [body.external] : [])])
      yield tapName(port.port_id);
  }
  for (const { body } of objectsOf(spec, 'port')) yield tapName(body.id);
}

/** A VLAN network's device on its provider bridge. */
function vlanName(networkId: string): string {
  return `brv${networkId.slice(0, 11)}`;
}

interface UsableNetwork {
  readonly bridge: NetworkBridge;
  /** The network's VXLAN device on this host, if it has one. */
  readonly tunnel: string | null;
}

class Builder implements DesiredHost {
  readonly links = new Map<string, Link>();
  readonly fdb = new Map<string, FdbEntry>();
  readonly namespaces = new Map<string, DesiredNamespace>();
  readonly services = new Map<string, DnsmasqService>();
  readonly named = new Set<string>();
  readonly networks = new Map<string, UsableNetwork>();
  readonly firewall: DesiredFirewall;
  readonly underlay: string;
  readonly #inputs: DesiredInputs;
  readonly #failures: Failures;
  /** Devices of the object that is being built. */
  readonly #added: string[] = [];

  constructor(inputs: DesiredInputs, failures: Failures) {
    this.#inputs = inputs;
    this.#failures = failures;
    this.underlay = inputs.config.underlay_ip;
    this.firewall = new DesiredFirewall(inputs.portCache);
  }

  /** Nothing of an object that fails half-way is wanted. */
  attempt(key: ObjectKey, build: () => void): void {
    this.#added.length = 0;
    try {
      build();
    } catch (error) {
      for (const name of this.#added) this.links.delete(name);
      this.#failures.addThrown(key, error, error instanceof HintedError ? error.hint : undefined);
    }
  }

  network(key: ObjectKey, network: NetworkObject): void {
    const { config, hasBridge, zoneOf } = this.#inputs;
    const bridge = bridgeOf(network, config);
    const parent =
      network.type === 'vlan' ? providerBridge(network, config) : bridge.provider ? bridge.name : null;
    if (parent !== null && !hasBridge(parent)) {
      throw new HintedError(
        `bridge ${parent} of physical network '${network.physical_network}' does not exist on this host`,
        missingBridgeHint(parent),
      );
    }
    const zone = zoneOf(network.id);
    let tunnel: string | null = null;
    if (!bridge.provider) this.addLink({ kind: 'bridge', name: bridge.name, owner: key, mtu: network.mtu });
    if (network.type === 'vxlan') {
      this.addLink(vxlanLink(network, key, bridge.name, config.underlay_ip));
      for (const entry of vxlanEntries(network, key, config.underlay_ip)) this.addEntry(entry);
      tunnel = vxlanName(network.segmentation_id!);
    } else if (network.type === 'vlan') {
      if (network.segmentation_id === null)
        throw new Error(`network ${network.id} is of type vlan and has no segmentation_id`);
      this.addLink({
        kind: 'vlan',
        name: vlanName(network.id),
        owner: key,
        mtu: network.mtu,
        master: bridge.name,
        flags: { learning: true, flood: true, neighSuppress: false },
        parent: parent!,
        vlanId: network.segmentation_id,
      });
    }
    this.firewall.addBridge(key, bridge, zone);
    this.networks.set(network.id, { bridge, tunnel });
  }

  networkOf(id: string): UsableNetwork {
    const network = this.networks.get(id);
    if (network) return network;
    const reason =
      this.#failures.get(`network/${id}`)?.message ?? 'it is not in what the controller wants on this host';
    throw new HintedError(
      `network ${id} is not usable here: ${reason}`,
      this.#failures.get(`network/${id}`)?.hint ??
        'If this lasts, compare `maru plan` with the network in the API.',
    );
  }

  /** A pair of devices from a network's bridge into a namespace. */
  plug(
    owner: ObjectKey,
    netns: string,
    peer: string,
    port: {
      readonly port_id: string;
      readonly network_id: string;
      readonly mac: string;
      readonly mtu: number;
    },
  ): void {
    const { bridge } = this.networkOf(port.network_id);
    const link: VethLink = {
      kind: 'veth',
      name: tapName(port.port_id),
      owner,
      mtu: port.mtu,
      master: bridge.name,
      flags: { learning: true, flood: true, neighSuppress: false },
      peer,
      netns,
      mac: port.mac,
    };
    this.addLink(link);
    this.firewall.addTrusted(owner, link.name);
  }

  addLink(link: Link): void {
    const taken = this.links.get(link.name);
    if (taken && taken.owner !== link.owner)
      throw new Error(`device ${link.name} is already used by ${taken.owner}`);
    this.links.set(link.name, link);
    this.#added.push(link.name);
  }

  addEntry(entry: FdbEntry): void {
    this.fdb.set(fdbKey(entry), entry);
  }
}

class HintedError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
