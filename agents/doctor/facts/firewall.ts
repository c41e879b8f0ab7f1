import type { FirewallFacts, IptablesFacts, MasqueradeFacts, NftChain } from '../facts.js';
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
    readonly handle?: number;
    readonly expr?: readonly Record<string, unknown>[];
  };
}

async function readNftables(look: Look): Promise<{ tables: string[]; chains: NftChain[] }> {
  const heads = nftList(await look.output('nft', ['-j', 'list', 'chains']));
  const base = heads.flatMap(({ chain }) => (chain?.hook && !isKnown(chain) ? [chain] : []));
  const chains = await Promise.all(
    base.map(async (chain): Promise<NftChain> => {
      const { family, table, name, hook = '', policy = 'accept' } = chain;
      const listed =
        hook === 'postrouting' ? await look.output('nft', ['-j', 'list', 'chain', family, table, name]) : '';
      return { family, table, name, hook, policy, masquerades: parseMasquerades(listed) };
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

interface RawMatch {
  readonly op: string;
  readonly left?: {
    readonly meta?: { readonly key: string };
    readonly fib?: { readonly flags: readonly string[] | string };
    readonly payload?: { readonly field?: string };
  };
  readonly right?: unknown;
}

/** Of `nft -j list chain`: rules that rewrite the sender of what leaves, with no match on who that is. */
export function parseMasquerades(text: string): MasqueradeFacts[] {
  return nftList(text).flatMap(({ rule }) => {
    const parts = rule?.expr ?? [];
    if (!parts.some((part) => 'masquerade' in part || 'snat' in part)) return [];
    const matches = parts.flatMap(({ match }) => (match ? [match as RawMatch] : []));
    if (matches.some(picksSenders)) return [];
    const out = matches.find(({ op, left }) => op === '==' && /^oif(name)?$/.test(left?.meta?.key ?? ''));
    return [{ handle: rule!.handle ?? 0, devices: out ? deviceNames(out.right) : null }];
  });
}

/** By address, device, mark or being this machine itself (`fib saddr type local`, a user's process). */
function picksSenders({ op, left = {} }: RawMatch): boolean {
  if (left.fib) return op === '==' && left.fib.flags.includes('saddr');
  if (left.meta) return /^(iif(name)?|mark|sk[ug]id)$/.test(left.meta.key);
  return left.payload?.field === 'saddr' || JSON.stringify(left).includes('"saddr"');
}

/** A name or a set of them; null for a set that has a name itself, whose members are elsewhere. */
function deviceNames(right: unknown): readonly string[] | null {
  if (typeof right === 'string') return right.startsWith('@') ? null : [right];
  const { set } = (right ?? {}) as { readonly set?: unknown };
  const names = Array.isArray(set) ? set : [set];
  return names.every((name) => typeof name === 'string') ? names : null;
}

function nftList(text: string): readonly RawNft[] {
  return (JSON.parse(text.trim() || '{"nftables":[]}') as { nftables: readonly RawNft[] }).nftables;
}
