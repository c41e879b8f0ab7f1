import { ipVersion, normaliseIp } from '../../../../src/net/ip.js';
import type { NetworkContext } from '../../config.js';
import { hexNumber } from './elements.js';
import type { NftTable } from './tables.js';

/** What a table holds: its version (null: the table is not there), number of rules, and the elements of each set. */
export interface ObservedTable {
  version: string | null;
  rules: number;
  readonly elements: Map<string, Set<string>>;
}

/** Reads one table of ours: one command. */
export async function observeTable({ host }: NetworkContext, table: NftTable): Promise<ObservedTable> {
  const args = ['-j', 'list', 'table', table.family, table.name];
  const result = await host.read('nft', args, { okCodes: [0, 1] });
  if (result.exitCode !== 0) {
    if (/No such file or directory/.test(result.stderr))
      return { version: null, rules: 0, elements: new Map() };
    // run again without tolerance, so that the failure is reported with its command
    await host.read('nft', args);
  }
  return parseTable(result.stdout);
}

/** Output of `nft -j list table`. */
export function parseTable(json: string): ObservedTable {
  const observed: ObservedTable = { version: null, rules: 0, elements: new Map() };
  for (const object of (JSON.parse(json || '{"nftables":[]}') as { nftables: readonly RawObject[] })
    .nftables) {
    if (object.rule) observed.rules++;
    if (object.chain?.name.startsWith('version_')) observed.version = object.chain.name;
    const set = object.set ?? object.map;
    if (set)
      observed.elements.set(
        set.name,
        new Set((set.elem ?? []).map((element) => elementText(set.name, element))),
      );
  }
  return observed;
}

/** The same spelling of an element that the diff's other side uses. */
function elementText(set: string, element: RawElement): string {
  if (Array.isArray(element)) return element.map((part) => partText(set, part as RawPart)).join(' : ');
  if (typeof element === 'object' && 'concat' in element) {
    return element.concat.map((part) => partText(set, part)).join(' . ');
  }
  return partText(set, element as RawPart);
}

function partText(set: string, part: RawPart): string {
  if (typeof part === 'number') return set === 'lla' ? hexNumber(BigInt(part), 12) : String(part);
  if (typeof part === 'object') {
    if ('prefix' in part) return `${address(part.prefix.addr)}/${part.prefix.len}`;
    return part.range.map((end) => partText(set, end)).join('-');
  }
  if (/^0x[0-9a-f]+$/.test(part)) return hexNumber(BigInt(part), set === 'lla' ? 12 : 32);
  return address(part);
}

function address(text: string): string {
  return text.includes(':') && ipVersion(text) === 6 ? normaliseIp(text) : text;
}

type RawPart = string | number | { prefix: { addr: string; len: number } } | { range: [RawPart, RawPart] };
type RawElement = RawPart | { concat: RawPart[] } | [RawPart, RawPart];

interface RawSet {
  readonly name: string;
  readonly elem?: readonly RawElement[];
}

interface RawObject {
  readonly rule?: unknown;
  readonly chain?: { readonly name: string };
  readonly set?: RawSet;
  readonly map?: RawSet;
}
