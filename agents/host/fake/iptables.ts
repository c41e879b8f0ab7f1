import { FakeFailure, type FakeMachine, type FakeNamespace, type FakeTable } from './machine.js';

const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
};
const TARGETS = new Set([
  'ACCEPT',
  'DROP',
  'RETURN',
  'REJECT',
  'MARK',
  'CT',
  'DNAT',
  'SNAT',
  'MASQUERADE',
  'REDIRECT',
  'LOG',
  'NOTRACK',
  'TCPMSS',
  'CONNMARK',
]);

/** `iptables-save` of one family. */
export function save(machine: FakeMachine, family: 4 | 6, netns: string): string {
  const namespace = machine.netns(netns);
  let text = '';
  for (const [key, chains] of namespace.tables) {
    if (!key.startsWith(`${family} `)) continue;
    const name = key.slice(2);
    text += `*${name}\n`;
    for (const chain of chains.keys())
      text += `:${chain} ${BUILT_IN[name]?.includes(chain) ? 'ACCEPT' : '-'} [0:0]\n`;
    for (const [chain, rules] of chains) for (const rule of rules) text += `-A ${chain} ${rule}\n`;
    text += 'COMMIT\n';
  }
  return text;
}

/** `iptables-restore --noflush`: each table is taken as a whole or not at all. */
export function restore(machine: FakeMachine, family: 4 | 6, input: string, netns: string): string {
  const namespace = machine.netns(netns);
  let table: { readonly key: string; readonly chains: FakeTable } | null = null;
  for (const [index, line] of input.split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    try {
      if (text.startsWith('*')) {
        const key = `${family} ${text.slice(1)}`;
        if (!BUILT_IN[text.slice(1)]) throw new Error(`table '${text.slice(1)}' does not exist`);
        table = { key, chains: copyOf(namespace, key) };
      } else if (!table) {
        throw new Error('no table');
      } else if (text === 'COMMIT') {
        check(machine, table.chains);
        namespace.tables.set(table.key, table.chains);
        table = null;
      } else {
        change(table.chains, text, BUILT_IN[table.key.slice(2)] ?? []);
      }
    } catch (error) {
      throw new FakeFailure(1, `iptables-restore: line ${index + 1} failed: ${(error as Error).message}\n`);
    }
  }
  return '';
}

function copyOf(namespace: FakeNamespace, key: string): FakeTable {
  const present =
    namespace.tables.get(key) ?? new Map((BUILT_IN[key.slice(2)] ?? []).map((chain) => [chain, []]));
  return new Map([...present].map(([chain, rules]) => [chain, [...rules]]));
}

function change(chains: FakeTable, text: string, builtIn: readonly string[]): void {
  const declared = /^:(\S+) /.exec(text)?.[1];
  if (declared !== undefined) {
    chains.set(declared, builtIn.includes(declared) ? (chains.get(declared) ?? []) : []);
    return;
  }
  const match = /^(?:\[\d+:\d+\] )?-([ADIXFN]) (\S+) ?(.*)$/.exec(text);
  if (!match) throw new Error(`cannot read '${text}'`);
  const [, action, chain = '', rest = ''] = match;
  const rules = chains.get(chain);
  if (action === 'N') {
    chains.set(chain, []);
    return;
  }
  if (!rules) throw new Error(`No chain/target/match by that name: ${chain}`);
  if (action === 'A') rules.push(rest);
  else if (action === 'F') rules.length = 0;
  else if (action === 'X') chains.delete(chain);
  else if (action === 'D') {
    const at = rules.indexOf(rest);
    if (at < 0) throw new Error('Bad rule (does a matching rule exist in that chain?)');
    rules.splice(at, 1);
  } else {
    const [, position, rule] = /^(\d+) (.*)$/.exec(rest) ?? [null, '1', rest];
    rules.splice(Number(position) - 1, 0, rule ?? '');
  }
}

/** Targets and sets that rules name must exist, and a chain that is referred to cannot go. */
function check(machine: FakeMachine, chains: FakeTable): void {
  for (const rules of chains.values()) {
    for (const rule of rules) {
      const target = /(?:^| )-[jg] (\S+)/.exec(rule)?.[1];
      if (target !== undefined && !TARGETS.has(target) && !chains.has(target)) {
        throw new Error(`Chain '${target}' does not exist`);
      }
      const set = /--match-set (\S+)/.exec(rule)?.[1];
      if (set !== undefined && !machine.ipsets.has(set)) throw new Error(`Set ${set} doesn't exist.`);
    }
  }
}
