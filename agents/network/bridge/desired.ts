import { bridgeName } from '../../../src/net/names.js';
import type { NetworkObject } from '../../../src/protocol/objects.js';
import type { NetworkConfig } from '../config.js';

/** What names a network's bridge. */
type Segment = Pick<NetworkObject, 'id' | 'type' | 'physical_network'>;

/** The bridge that a network's ports are plugged into on this host, and whether it is ours to make. */
export interface NetworkBridge {
  readonly name: string;
  readonly provider: boolean;
}

/** Flat networks live on the provider bridge itself; all others get a bridge of their own. Throws with what to do. */
export function bridgeOf(network: Segment, config: NetworkConfig): NetworkBridge {
  if (network.type !== 'flat') return { name: bridgeName(network.id), provider: false };
  return { name: providerBridge(network, config), provider: true };
}

/** The bridge that a flat or VLAN network's physical network is mapped to. Throws with what to do. */
export function providerBridge(network: Segment, config: NetworkConfig): string {
  const alias = network.physical_network ?? '';
  const bridge = config.physical_networks[alias];
  if (bridge) return bridge;
  const known = Object.keys(config.physical_networks).join(', ') || 'none';
  throw new Error(
    `network ${network.id} is on physical network '${alias}', which this host does not have (it has: ${known}); ` +
      `map it to a bridge under agent.physical_networks in the configuration`,
  );
}

/** What an operator does about a provider bridge that is not there. */
export function missingBridgeHint(bridge: string): string {
  return (
    `Make the bridge and put the outside interface into it, e.g. 'ip link add ${bridge} type bridge; ` +
    `ip link set ${bridge} up; ip link set eth1 master ${bridge}', or correct agent.physical_networks.`
  );
}
