import { stringify } from 'yaml';
import { defaultOf, type Key, type KeyTable, type Section } from './key.js';
import type { Origin, SectionReading } from './read.js';
import { MASK, withoutPasswords } from './secrets.js';

const WIDTH = 100;

const INTRODUCTION =
  'Configuration of Maru, a section for each program. Every key is here with its default: take the # before a key away to ' +
  'change it. `maru config check` checks this file, `maru config show` tells what is in force. A secret KEY is given as ' +
  'KEY_file, the name of a file of mode 0640 that holds it. What is marked [reload] is brought into force by `systemctl reload` ' +
  '(SIGHUP); the rest wants a restart.';

/** The whole file with every key, its documentation and its default, each key commented out: ready to be saved. */
export function renderDefaults(sections: readonly Section[]): string {
  const parts = sections.map(({ name, description, keys }) => {
    const lines = [...comment('', description), `${name}:`];
    const values: Record<string, unknown> = {};
    for (const [one, declared] of Object.entries(keys)) {
      values[one] = defaultOf(declared, values);
      lines.push('', ...comment('  ', declared.description), ...comment('  ', facts(declared)));
      const shown = declared.secret ? { [`${one}_file`]: null } : { [one]: values[one] };
      // a comment that begins with a blank is text; without one, a key
      lines.push(...yaml(shown).map((line) => `  #${line}`));
    }
    return lines;
  });
  return [...comment('', INTRODUCTION), ...parts.flatMap((lines) => ['', ...lines]), ''].join('\n');
}

/** A value as it may be shown. */
export function shownValue(declared: Key<unknown>, value: unknown): unknown {
  if (declared.secret && value !== null) return MASK;
  return typeof value === 'string' ? withoutPasswords(value) : value;
}

/** What is in force in a section, with where each value comes from. */
export function renderEffective(section: Section, reading: SectionReading<KeyTable>): string {
  const lines = Object.entries(section.keys).flatMap(([one, declared]) => {
    const [first = '', ...more] = yaml({ [one]: shownValue(declared, reading.values[one]) });
    return [
      { text: first, note: originWords(reading.origins[one]!) },
      ...more.map((text) => ({ text, note: '' })),
    ];
  });
  const width = Math.min(60, Math.max(...lines.map(({ text }) => text.length)));
  const shown = lines.map(({ text, note }) => `  ${note ? `${text.padEnd(width)}  # ${note}` : text}`);
  return [`${section.name}:`, ...shown, ''].join('\n');
}

function originWords(origin: Origin): string {
  if (origin.from === 'default') return 'default';
  return origin.secretFile ? `line ${origin.line}: ${origin.secretFile}` : `line ${origin.line}`;
}

/** What a value may be, what is taken without one, and when a change comes into force. */
function facts({ type, unit, reload, secret, defaultWords }: Key<unknown>): string {
  const all = [
    // what the words say of numbers has their unit in it
    `Value: ${type.words}${unit && !type.words.includes(unit) ? `, in ${unit}` : ''}.`,
    ...(defaultWords ? [`Default: ${defaultWords}.`] : []),
    ...(secret ? ['Secret.'] : []),
    ...(reload ? ['[reload]'] : []),
  ];
  return all.join(' ');
}

/** Keys in lines, what they hold in flow style: `vni_range: [ 1, 65535 ]`. */
function yaml(value: object): string[] {
  return Object.entries(value).map(([name, inner]) => {
    const text = stringify(inner, { lineWidth: 0, collectionStyle: 'flow' }).trimEnd();
    return `${name}: ${text}`;
  });
}

function comment(indent: string, text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line && indent.length + 2 + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  lines.push(line);
  return lines.map((one) => `${indent}# ${one}`);
}
