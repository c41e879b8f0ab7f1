import { FakeFailure, type FakeMachine, type FakeNftSet, type FakeNftTable } from './machine.js';

/** `nft -j list table FAMILY NAME` and `nft -f -`. */
export function nft(machine: FakeMachine, args: readonly string[], input: string, netns: string): string {
  const namespace = machine.netns(netns);
  if (args[0] === '-j' && args[1] === 'list' && args[2] === 'table') {
    const key = `${args[3]} ${args[4]}`;
    const table = namespace.nft.get(key);
    if (!table) {
      throw new FakeFailure(
        1,
        `Error: No such file or directory\nlist table ${key}\n           ${'^'.repeat(4)}\n`,
      );
    }
    return JSON.stringify({ nftables: listing(args[3] ?? '', args[4] ?? '', table) });
  }
  if (args[0] !== '-f')
    throw new FakeFailure(1, `Error: the simulated nft does not know: ${args.join(' ')}\n`);
  // one transaction: everything or nothing
  const draft = new Map([...namespace.nft].map(([key, table]) => [key, copyOf(table)]));
  run(draft, input);
  namespace.nft.clear();
  for (const [key, table] of draft) namespace.nft.set(key, table);
  return '';
}

function run(tables: Map<string, FakeNftTable>, input: string): void {
  const lines = input.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]?.trim() ?? '';
    const words = line.split(/\s+/);
    const key = `${words[2]} ${words[3]}`;
    if (line === '') continue;
    if (line.startsWith('add table')) {
      if (!tables.has(key)) tables.set(key, { chains: [], rules: 0, sets: new Map() });
    } else if (line.startsWith('delete table')) {
      if (!tables.delete(key)) throw noSuch(line);
    } else if (line.startsWith('table ')) {
      const end = lines.indexOf('}', at);
      tables.set(`${words[1]} ${words[2]}`, parseTable(lines.slice(at + 1, end)));
      at = end;
    } else if (words[1] === 'element') {
      changeElements(tables.get(key), words[0] ?? '', words[4] ?? '', line);
    } else {
      throw new FakeFailure(1, `Error: syntax error, unexpected ${words[0]}\n${line}\n`);
    }
  }
}

function parseTable(lines: readonly string[]): FakeNftTable {
  const table: FakeNftTable = { chains: [], rules: 0, sets: new Map() };
  for (let at = 0; at < lines.length; at++) {
    const [, kind, name = ''] = /^ {2}(set|map|chain) (\S+) \{$/.exec(lines[at] ?? '') ?? [];
    if (!kind) continue;
    let end = at + 1;
    while (end < lines.length && lines[end] !== '  }') end++;
    const body = lines.slice(at + 1, end);
    if (kind === 'chain') {
      table.chains.push(name);
      table.rules += body.filter((line) => /^ {4}\S/.test(line) && !/^ {4}type filter /.test(line)).length;
    } else {
      const text = /elements = \{([^}]*)\}/.exec(body.join('\n'))?.[1] ?? '';
      table.sets.set(name, { kind: kind as FakeNftSet['kind'], elements: new Set(elementsOf(text)) });
    }
    at = end;
  }
  return table;
}

function changeElements(table: FakeNftTable | undefined, action: string, name: string, line: string): void {
  const set = table?.sets.get(name);
  if (!set) throw noSuch(line);
  for (const element of elementsOf(/\{([^}]*)\}/.exec(line)?.[1] ?? '')) {
    if (action === 'add') set.elements.add(element);
    else if (!set.elements.delete(element)) throw noSuch(line);
  }
}

function elementsOf(text: string): string[] {
  return text
    .split(',')
    .map((element) => element.trim().replaceAll('"', ''))
    .filter(Boolean);
}

function listing(family: string, name: string, table: FakeNftTable): unknown[] {
  const where = { family, table: name };
  return [
    { metainfo: { json_schema_version: 1 } },
    { table: { family, name } },
    ...table.chains.map((chain) => ({ chain: { ...where, name: chain } })),
    ...Array.from({ length: table.rules }, (_, handle) => ({ rule: { ...where, handle } })),
    ...[...table.sets].map(([set, { kind, elements }]) => ({
      [kind]: { ...where, name: set, elem: [...elements].map(elementJson) },
    })),
  ];
}

function elementJson(element: string): unknown {
  const [key = '', value] = element.split(' : ');
  const parts = key.split(' . ');
  const shown = parts.length > 1 ? { concat: parts } : key;
  return value === undefined ? shown : [shown, /^\d+$/.test(value) ? Number(value) : value];
}

function copyOf(table: FakeNftTable): FakeNftTable {
  return {
    chains: [...table.chains],
    rules: table.rules,
    sets: new Map(
      [...table.sets].map(([name, set]) => [name, { kind: set.kind, elements: new Set(set.elements) }]),
    ),
  };
}

function noSuch(line: string): FakeFailure {
  return new FakeFailure(1, `Error: Could not process rule: No such file or directory\n${line}\n`);
}
