import { isAlias, isPair, isScalar, type Node, parseDocument, visit } from 'yaml';
import { AGENT_KEYS } from '../../agents/config.js';
import { CONTROLLER_KEYS } from '../../src/config.js';
import type { KeyTable } from '../../src/protocol/config/key.js';
import { MASK, withoutPasswords } from '../../src/protocol/config/secrets.js';

const TABLES: readonly KeyTable[] = [CONTROLLER_KEYS, AGENT_KEYS];
const SECRET_NAMES = new Set(
  TABLES.flatMap((table) => Object.entries(table).flatMap(([name, { secret }]) => (secret ? [name] : []))),
);
/** Also what is misspelt, or in a section where it does not belong. */
const SECRET_NAME = /password|secret|token$/i;
const IN_COMMENT = /(#.*?(?:password|secret|token)\s*:\s*)\S.*$/gim;

/** The text of a configuration file as it may be shown: secrets' values and the passwords of URLs taken out, also in comments. */
export function maskedConfig(text: string): string {
  const document = parseDocument(text);
  const ranges: [from: number, to: number][] = [];
  const hide = (node: Node | null) => {
    if (isScalar(node) && (node.value === null || node.value === '')) return;
    if (node?.range) ranges.push([node.range[0], node.range[1]]);
  };
  visit(document, {
    Pair: (_, pair) => {
      const name = isPair(pair) && isScalar(pair.key) ? String(pair.key.value) : '';
      if (!SECRET_NAMES.has(name) && !(SECRET_NAME.test(name) && !name.endsWith('_file'))) return;
      const value = pair.value as Node | null;
      // the value of an alias stands elsewhere
      hide(isAlias(value) ? (value.resolve(document) ?? null) : value);
    },
  });
  let shown = text;
  for (const [from, to] of outermost(ranges)) {
    const end = text.slice(from, to).endsWith('\n') ? '\n' : '';
    shown = `${shown.slice(0, from)}${MASK}${end}${shown.slice(to)}`;
  }
  return withoutPasswords(shown).replaceAll(IN_COMMENT, `$1${MASK}`);
}

/** Each once, without those within others, the last first: what comes before it keeps its place. */
function outermost(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const chosen: (readonly [number, number])[] = [];
  for (const range of [...ranges].sort(([a, aEnd], [b, bEnd]) => a - b || bEnd - aEnd)) {
    if (range[0] >= (chosen.at(-1)?.[1] ?? 0)) chosen.push(range);
  }
  return chosen.reverse();
}
