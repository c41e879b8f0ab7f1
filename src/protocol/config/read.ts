import { readFileSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { isScalar } from 'yaml';
import { ConfigDocument, type Entry } from './document.js';
import { defaultOf, type KeyTable, namesOf, type Section, secretOf, type ValuesOf } from './key.js';
import { ConfigInvalid, inOrder } from './problem.js';
import { withoutPasswords } from './secrets.js';
import { didYouMean } from './suggest.js';

/** Where a value comes from. */
export type Origin =
  | { readonly from: 'default' }
  | { readonly from: 'file'; readonly line: number; readonly column: number; readonly secretFile?: string };

/** What a section says, completed with defaults. Of keys that were refused it has the defaults. */
export interface SectionReading<T extends KeyTable> {
  readonly values: ValuesOf<T>;
  readonly origins: { readonly [K in keyof T]: Origin };
}

/**
 * Reads one section of a file by its table. Throws ConfigInvalid with every mistake in the file's form and in this section; other
 * sections are the business of other programs.
 */
export function loadSection<T extends KeyTable>(file: string, section: Section<T>): ValuesOf<T> {
  const document = ConfigDocument.read(file);
  const { values } = readSection(document, section);
  const errors = document.problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new ConfigInvalid(inOrder(errors));
  return values;
}

/** Reads a section; what is wrong is noted in the document. `others`: the other sections, for keys that stand in the wrong one. */
export function readSection<T extends KeyTable>(
  document: ConfigDocument,
  section: Section<T>,
  others: readonly Pick<Section, 'name' | 'keys'>[] = [],
): SectionReading<T> {
  const { name, keys: table } = section;
  const before = document.problems.length;
  const given = new Map<string, { readonly value: unknown; readonly origin: Origin }>();
  for (const entry of document.entries(name)) {
    const base = secretOf(table, entry.name);
    if (base === null && !Object.hasOwn(table, entry.name)) {
      complainOfUnknown(document, section, others, entry);
      continue;
    }
    const { line, column } = document.placeOf(entry.nameNode);
    const target = base ?? entry.name;
    if (given.has(target)) {
      document.complain(entry.nameNode, `'${target}' and '${target}_file' are both given`, 'keep one');
      continue;
    }
    const value = base === null ? readValue(document, table, entry) : readSecret(document, entry);
    if (value === undefined) continue;
    const secretFile = base !== null && isScalar(entry.value) ? String(entry.value.value) : undefined;
    given.set(target, { value, origin: { from: 'file', line, column, ...(secretFile && { secretFile }) } });
  }
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const [one, declared] of Object.entries(table)) {
    const found = given.get(one);
    values[one] = found ? found.value : defaultOf(declared, values);
    origins[one] = found?.origin ?? { from: 'default' };
  }
  const reading = { values, origins } as unknown as SectionReading<T>;
  if (document.problems.length === before) {
    section.check?.(reading.values, (one, message, hint) =>
      document.complain(document.nodeOf(name, String(one)), `'${String(one)}' ${message}`, hint),
    );
  }
  return reading;
}

function readValue(document: ConfigDocument, table: KeyTable, { name, nameNode, value }: Entry): unknown {
  const { type, secret } = table[name]!;
  // behind the colon there is nothing: for YAML that is null
  if (value === null) {
    document.complain(nameNode, `'${name}' has no value`, `it must be ${type.words}`);
    return undefined;
  }
  return type.read(value, (node, message, hint) =>
    document.complain(
      document.resolve(node),
      `'${name}' ${secret ? message.replace(/, not .*$/s, '') : withoutPasswords(message)}`,
      secret ? '' : hint && withoutPasswords(hint),
    ),
  );
}

/** The content of a secret's file without the line's end. */
function readSecret(document: ConfigDocument, { name, nameNode, value }: Entry): string | null | undefined {
  const file = isScalar(value) ? value.value : null;
  if (isScalar(value) && file === null) return null;
  const complain = (message: string, hint: string) => {
    document.complain(value ?? nameNode, `'${name}': ${message}`, hint);
    return undefined;
  };
  if (typeof file !== 'string' || !isAbsolute(file)) {
    return complain('it must be the path of a file, from the root', 'such as /etc/maru/database-password');
  }
  try {
    const mode = statSync(file).mode & 0o777;
    if (mode & 0o007) {
      const shown = mode.toString(8).padStart(4, '0');
      return complain(`everybody may read ${file} (mode ${shown})`, `chmod 0640 ${file}`);
    }
    const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    return content === '' ? complain(`${file} is empty`, 'write the secret into it') : content;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return complain(`there is no file ${file}`, 'write the secret into it, with mode 0640');
    if (code === 'EACCES')
      return complain(`this user may not read ${file}`, `chgrp maru ${file}; chmod 0640 ${file}`);
    return complain(message, '');
  }
}

function complainOfUnknown(
  document: ConfigDocument,
  section: Pick<Section, 'name' | 'keys'>,
  others: readonly Pick<Section, 'name' | 'keys'>[],
  { name, nameNode }: Entry,
): void {
  const other = others.find((one) => namesOf(one.keys).includes(name));
  const hint = other
    ? `it belongs to section '${other.name}'`
    : didYouMean(name, namesOf(section.keys)) || 'maru config show --defaults lists the keys';
  // `{key:value}` without a space is a key of that whole name, whose value may be a secret
  const shown = name.replace(/:.*$/s, ':…');
  document.complain(nameNode, `unknown key '${shown}' in section '${section.name}'`, hint);
}
