/** One logical line of interfaces(5) with the words it starts with, and the text exactly as it was written. */
export interface Statement {
  readonly raw: string;
  readonly words: readonly string[];
  readonly kind: 'blank' | 'auto' | 'iface' | 'option' | 'other';
}

/** An `iface` with its options. */
export interface Stanza {
  readonly name: string;
  readonly family: string;
  readonly method: string;
  readonly options: readonly { readonly key: string; readonly value: string }[];
}

/** Divides a file into logical lines, so that what is not about the uplink stays byte for byte. */
export function parseInterfaces(text: string): readonly Statement[] {
  const statements: Statement[] = [];
  let open = false;
  for (const raw of logicalLines(text)) {
    const words = raw.replaceAll(/\\\n/g, ' ').trim().split(/\s+/);
    const first = words[0] ?? '';
    if (first === '' || first.startsWith('#')) statements.push({ raw, words, kind: 'blank' });
    else if (first === 'iface') {
      open = true;
      statements.push({ raw, words, kind: 'iface' });
    } else if (first === 'auto' || first.startsWith('allow-')) {
      open = false;
      statements.push({ raw, words, kind: 'auto' });
    } else if (/^(mapping|source|source-directory|no-auto-down|no-scripts|rename|template)$/.test(first)) {
      open = false;
      statements.push({ raw, words, kind: 'other' });
    } else statements.push({ raw, words, kind: open ? 'option' : 'other' });
  }
  return statements;
}

/** The `iface` stanzas of a file, in order. */
export function stanzasOf(statements: readonly Statement[]): readonly Stanza[] {
  const stanzas: {
    name: string;
    family: string;
    method: string;
    options: { key: string; value: string }[];
  }[] = [];
  for (const { kind, words, raw } of statements) {
    if (kind === 'iface') {
      const [, name = '', family = '', method = ''] = words;
      stanzas.push({ name, family, method, options: [] });
    } else if (kind === 'option') stanzas.at(-1)?.options.push(optionOf(raw));
  }
  return stanzas;
}

export function optionOf(raw: string): { key: string; value: string } {
  const line = raw.replaceAll(/\\\n/g, ' ').trim();
  const [, key = line, value = ''] = /^(\S+)\s+([\s\S]*)$/.exec(line) ?? [];
  return { key, value };
}

function logicalLines(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const previous = lines.at(-1);
    if (previous?.endsWith('\\') && !previous.trimStart().startsWith('#'))
      lines[lines.length - 1] = `${previous}\n${line}`;
    else lines.push(line);
  }
  return lines;
}
