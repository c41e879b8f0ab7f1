import type { HostFacts } from '../protocol/messages.js';

/**
 * Facts in which every provider network is there or is not: one of which a host cannot say it yet stays what it was by `stored`, the
 * facts (JSON) that the host told before; null: none.
 */
export function settleProviderNetworks(facts: HostFacts, stored: string | null): HostFacts {
  const { provider_networks } = facts;
  if (!provider_networks?.some((network) => network.unknown)) return facts;
  const before = stored === null ? [] : (JSON.parse(stored) as HostFacts).physical_networks;
  const settled = provider_networks.map(({ unknown, ...network }) =>
    unknown ? { ...network, present: before.includes(network.name) } : network,
  );
  const physical_networks = settled.filter(({ present }) => present).map(({ name }) => name);
  return { ...facts, physical_networks, provider_networks: settled };
}
