import { type IpRange, rangeContains, withoutAddress } from '../../net/range.js';
import type { HostFacts, ProviderNetworkFacts } from '../../protocol/messages.js';
import { listHosts } from '../../store/hosts.js';
import { takenAddresses } from '../../store/network/address.js';
import { providerNetworks, subnetsOfNetworks } from '../../store/network/network.js';
import type { Reader } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { poolsOf } from '../address/draw.js';

type Network = NetworkTables['network'];
type Subnet = NetworkTables['subnet'];

/** What a host has of a physical network. */
interface Place extends ProviderNetworkFacts {
  readonly host: string;
}

/** What is wrong with provider networks, and what only may be. */
export interface ProviderFindings {
  readonly problems: readonly { readonly what: string; readonly advice: string }[];
  readonly warnings: readonly string[];
}

/** Networks that no host can carry, and allocation pools that hold addresses of others on the wire. */
export async function providerFindings(db: Reader): Promise<ProviderFindings> {
  const networks = await providerNetworks(db);
  if (networks.length === 0) return { problems: [], warnings: [] };
  const hosts = await listHosts(db);
  const places = hosts.flatMap((host) => placesOf(host.name, host.facts));
  const problems = hosts.length === 0 ? [] : networks.flatMap((network) => unreachable(network, places));
  const subnets = await subnetsOfNetworks(
    db,
    networks.map((network) => network.id),
  );
  const warnings: string[] = [];
  for (const network of networks) {
    const seen = addressesOnWire(places.filter((place) => place.name === network.physical_network));
    if (seen.size === 0) continue;
    const taken = await takenAddresses(db, network.id);
    for (const subnet of subnets.filter((one) => one.network_id === network.id)) {
      warnings.push(...overlaps(network, subnet, seen, taken));
    }
  }
  return { problems, warnings };
}

/** What is odd about one host's mapping of physical networks to bridges, with what to do. */
export function mappingWarnings(facts: HostFacts | null): string[] {
  const networks = facts?.provider_networks ?? [];
  const missing = networks.filter((network) => !network.present);
  const shared = networks.filter((network, i) =>
    networks.slice(0, i).some((other) => other.bridge === network.bridge),
  );
  return [
    ...missing.map(
      ({ name, bridge }) =>
        `provider network '${name}' is not offered, because there is no bridge ${bridge}: maru bridge ${bridge} --uplink NIC makes it`,
    ),
    ...shared.map(
      ({ name, bridge }) =>
        `provider network '${name}' is on bridge ${bridge}, as another one is: their networks are one wire`,
    ),
  ];
}

function placesOf(host: string, facts: string | null): Place[] {
  if (facts === null) return [];
  const { provider_networks, physical_networks } = JSON.parse(facts) as HostFacts;
  const nothing = { bridge: '', present: true, addresses: [], gateways: [], neighbours: [] };
  // agents of before tell only the names
  const told = provider_networks ?? physical_networks.map((name) => ({ name, ...nothing }));
  return told.map((network) => ({ host, ...network }));
}

function unreachable(network: Network, places: readonly Place[]): { what: string; advice: string }[] {
  const alias = network.physical_network;
  if (places.some((place) => place.name === alias && place.present)) return [];
  const configured = places.find((place) => place.name === alias);
  return [
    {
      what: `Network ${network.name || network.id} is on provider network '${alias}', which no host has: nothing on it works`,
      advice: configured
        ? `on ${configured.host}, where it is mapped to ${configured.bridge}: maru bridge ${configured.bridge} --uplink NIC`
        : `on a host with its cable: agent.physical_networks {${alias}: br-ex} in /etc/maru/maru.yaml, then restart maru-agent`,
    },
  ];
}

/** Whom each address on a provider network belongs to, in words; the nearest relation wins. */
function addressesOnWire(places: readonly Place[]): Map<string, string> {
  const seen = new Map<string, string>();
  const note = (ip: string, whose: string) => {
    if (!seen.has(ip)) seen.set(ip, whose);
  };
  for (const { host, bridge, addresses } of places) {
    for (const ip of addresses) note(ip, `the address of host ${host} on ${bridge}`);
  }
  for (const { host, gateways } of places) for (const ip of gateways) note(ip, `the gateway of host ${host}`);
  for (const { host, bridge, neighbours } of places) {
    for (const ip of neighbours)
      note(ip, `seen by host ${host} on ${bridge} with a MAC that is not this cloud's`);
  }
  return seen;
}

/** One warning per subnet, with the command that takes the addresses out of its pools. */
function overlaps(
  network: Network,
  subnet: Subnet,
  seen: ReadonlyMap<string, string>,
  taken: ReadonlySet<string>,
): string[] {
  const pools = poolsOf(subnet);
  const found = [...seen].filter(([ip]) => pools.some((pool) => rangeContains(pool, ip)));
  if (found.length === 0) return [];
  const left = found.reduce<IpRange[]>((ranges, [ip]) => withoutAddress(ranges, ip), pools);
  const words = found
    .slice(0, MOST_NAMED)
    .map(([ip, whose]) => `${ip}, ${whose}${taken.has(ip) ? ', and given out already' : ''}`);
  const more = found.length > MOST_NAMED ? ` and ${found.length - MOST_NAMED} more` : '';
  const options = left.map((pool) => `--allocation-pool start=${pool.start},end=${pool.end}`).join(' ');
  return [
    `the pool of network ${network.name || network.id} (subnet ${subnet.name || subnet.id}) holds ${words.join('; ')}${more}: ` +
      `take that out: openstack subnet set --no-allocation-pool ${options} ${subnet.id}`,
  ];
}

const MOST_NAMED = 3;
