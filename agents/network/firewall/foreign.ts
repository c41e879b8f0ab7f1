import type { NetworkContext } from '../config.js';

/**
 * Chains of other tables that drop what they do not know when packets are forwarded: an accept of ours does not override
 * them. firewalld and ufw make such chains.
 */
export async function foreignForwardDrops({ host }: NetworkContext): Promise<string[]> {
  const { stdout } = await host.read('nft', ['-j', 'list', 'chains'], { okCodes: [0, 1] });
  const { nftables } = JSON.parse(stdout || '{"nftables":[]}') as {
    nftables: readonly { chain?: RawChain }[];
  };
  return nftables.flatMap(({ chain }) => {
    if (chain?.hook !== 'forward' || chain.policy !== 'drop') return [];
    // iptables' own FORWARD chain: our jump in it comes first
    if (chain.table === 'filter' && chain.name === 'FORWARD') return [];
    return ['inet', 'ip', 'ip6', 'bridge'].includes(chain.family)
      ? [`${chain.family} ${chain.table} ${chain.name}`]
      : [];
  });
}

interface RawChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}
