/** A line `key=value` of a section; keys may come several times, and their order matters. */
export interface Entry {
  readonly key: string;
  readonly value: string;
}

export interface Section {
  readonly name: string;
  readonly entries: readonly Entry[];
}

/**
 * Reads what systemd's units and NetworkManager's keyfiles have in common: sections that may be repeated, `key=value`,
 * comments with # or ;, and a backslash at the end of a line (`continuation`, units only). Gives null for a line that is none of that.
 */
export function parseIni(text: string, continuation: boolean): readonly Section[] | null {
  const sections: { name: string; entries: Entry[] }[] = [];
  for (const line of logicalLines(text, continuation)) {
    const header = /^\[([^\]]+)\]$/.exec(line);
    if (header) {
      sections.push({ name: header[1]!, entries: [] });
      continue;
    }
    const equals = line.indexOf('=');
    const section = sections.at(-1);
    if (equals < 1 || !section) return null;
    section.entries.push({ key: line.slice(0, equals).trim(), value: line.slice(equals + 1).trim() });
  }
  return sections;
}

/** The text of sections, without those that are empty. */
export function renderIni(sections: readonly Section[]): string {
  return sections
    .filter((section) => section.entries.length > 0)
    .map(({ name, entries }) => `[${name}]\n${entries.map((e) => `${e.key}=${e.value}\n`).join('')}`)
    .join('\n');
}

/** A section from an object; undefined values are left out. */
export function section(name: string, values: Readonly<Record<string, string | undefined>>): Section {
  const entries = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value }],
  );
  return { name, entries };
}

/** The value that counts of a key in all sections of a name: the last one. */
export function lastValue(sections: readonly Section[], name: string, key: string): string | undefined {
  return sections
    .filter((s) => s.name === name)
    .flatMap((s) => s.entries)
    .filter((e) => e.key === key)
    .at(-1)?.value;
}

function logicalLines(text: string, continuation: boolean): string[] {
  const lines: string[] = [];
  let carried = '';
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (/^[#;]/.test(line)) continue;
    if (continuation && line.endsWith('\\')) {
      carried += `${line.slice(0, -1)} `;
      continue;
    }
    if (carried + line !== '') lines.push(carried + line);
    carried = '';
  }
  if (carried.trim() !== '') lines.push(carried.trim());
  return lines;
}
