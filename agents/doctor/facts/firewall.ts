import type { FirewallFacts, IptablesFacts, NftChain } from '../facts.js';
import type { Look } from '../look.js';

/** Rules that others made and that packets of guests may meet. */
export async function readFirewall(look: Look): Promise<FirewallFacts> {
  const [backend, nft, legacy4, legacy6] = await Promise.all([
    readBackend(look),
    readNftables(look),
    look.file('/proc/net/ip_tables_names'),
    look.file('/proc/net/ip6_tables_names'),
  ]);
  const commands: IptablesFacts['command'][] = [
    ...(['iptables-nft', 'ip6tables-nft'] as const),
    // listing legacy tables that are not there would load them
    ...(legacy4?.trim() ? (['iptables-legacy'] as const) : []),
    ...(legacy6?.trim() ? (['ip6tables-legacy'] as const) : []),
  ];
  const tables = (await Promise.all(commands.map((command) => readIptables(look, command)))).flat();
  const ufwConf = await look.file('/etc/ufw/ufw.conf');
  const ufwChains = tables.some(({ forward }) => forward.some((rule) => /-j ufw6?-/.test(rule)));
  return {
    backend,
    tables,
    chains: nft.chains,
    firewalld: nft.tables.some((table) => table === 'firewalld'),
    ufw: ufwChains || /^ENABLED=yes/im.test(ufwConf ?? ''),
  };
}

async function readBackend(look: Look): Promise<FirewallFacts['backend']> {
  try {
    const text = await look.output('iptables', ['--version']);
    return /legacy/.test(text) ? 'legacy' : 'nft';
  } catch {
    return 'none';
  }
}

async function readIptables(look: Look, command: IptablesFacts['command']): Promise<IptablesFacts[]> {
  let text: string;
  try {
    text = await look.output(`${command}-save`, []);
  } catch {
    return [];
  }
  return [{ command, ...parseSave(text) }];
}

/** Of `iptables-save`: FORWARD of filter, POSTROUTING of nat. */
export function parseSave(text: string): Omit<IptablesFacts, 'command'> {
  let table = '';
  let forwardPolicy: string | null = null;
  const forward: string[] = [];
  const postrouting: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const policy = /^:FORWARD (\S+)/.exec(line)?.[1];
    if (policy && table === 'filter') forwardPolicy = policy;
    if (table === 'filter' && line.startsWith('-A FORWARD ')) forward.push(line);
    if (table === 'nat' && line.startsWith('-A POSTROUTING ')) postrouting.push(line);
  }
  return { forwardPolicy, forward, postrouting };
}

interface RawNft {
  readonly table?: { readonly family: string; readonly name: string };
  readonly chain?: {
    readonly family: string;
    readonly table: string;
    readonly name: string;
    readonly hook?: string;
    readonly policy?: string;
  };
  readonly rule?: {
    readonly family: string;
    readonly table: string;
    readonly chain: string;
    readonly expr?: readonly Record<string, unknown>[];
  };
}

async function readNftables(look: Look): Promise<{ tables: string[]; chains: NftChain[] }> {
  const heads = nftList(await look.output('nft', ['-j', 'list', 'chains']));
  const base = heads.flatMap(({ chain }) => (chain?.hook && !isKnown(chain) ? [chain] : []));
  const chains = await Promise.all(
    base.map(async (chain): Promise<NftChain> => {
      const { family, table, name, hook = '', policy = 'accept' } = chain;
      const nat = hook === 'postrouting' && (await masquerades(look, family, table, name));
      return { family, table, name, hook, policy, masqueradesAll: nat };
    }),
  );
  const tables = nftList(await look.output('nft', ['-j', 'list', 'tables'])).flatMap(({ table }) =>
    table ? [table.name] : [],
  );
  return { tables, chains };
}

/** Ours, and those that iptables makes, which are read through iptables itself. */
function isKnown({ family, table, name }: NonNullable<RawNft['chain']>): boolean {
  if (table === 'maru') return true;
  const iptables = ['filter', 'nat', 'mangle', 'raw', 'security'].includes(table);
  return (family === 'ip' || family === 'ip6') && iptables && name === name.toUpperCase();
}

/** True when a rule of the chain masquerades whatever leaves, whoever sent it. */
async function masquerades(look: Look, family: string, table: string, chain: string): Promise<boolean> {
  const listed = await look.output('nft', ['-j', 'list', 'chain', family, table, chain]);
  return nftList(listed).some(({ rule }) => {
    const parts = rule?.expr ?? [];
    if (!parts.some((part) => 'masquerade' in part || 'snat' in part)) return false;
    const matches = JSON.stringify(parts.filter((part) => 'match' in part));
    return !/"saddr"|"iifname"|"iif"|"mark"/.test(matches);
  });
}

function nftList(text: string): readonly RawNft[] {
  return (JSON.parse(text.trim() || '{"nftables":[]}') as { nftables: readonly RawNft[] }).nftables;
}
