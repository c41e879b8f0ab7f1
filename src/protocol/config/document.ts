import { readFileSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { Problem } from './problem.js';
import { didYouMean } from './suggest.js';

/** The sections of the file: one for each program. */
export const SECTIONS = ['controller', 'agent'] as const;
export type SectionName = (typeof SECTIONS)[number];

/** One `name: value` of a section. */
export interface Entry {
  readonly name: string;
  readonly nameNode: Node;
  /** null: nothing stands behind the colon. */
  readonly value: Node | null;
}

export type Severity = Problem['severity'];

/** A configuration file: its sections, and what is wrong with what holds them together. */
export class ConfigDocument {
  readonly file: string;
  readonly problems: Problem[] = [];
  readonly #lines = new LineCounter();
  readonly #sections = new Map<SectionName, readonly Entry[]>();
  readonly #document: Document.Parsed | null;

  private constructor(file: string, text: string | null) {
    this.file = file;
    if (text === null) {
      this.#document = null;
      return;
    }
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      logLevel: 'error',
      // told here, with the place of the first
      uniqueKeys: false,
    });
    this.#noteSyntax(this.#document.errors);
    // what follows a mistake of form is misread: it would be told as other mistakes
    if (this.problems.length === 0) this.#readSections(this.#document);
  }

  /** Reads a file; one that cannot be read is a problem of its own. */
  static read(file: string): ConfigDocument {
    try {
      return new ConfigDocument(file, readFileSync(file, 'utf8'));
    } catch (error) {
      const document = new ConfigDocument(file, null);
      document.complain(null, ...unreadable(file, error as NodeJS.ErrnoException));
      return document;
    }
  }

  static parse(text: string, file: string): ConfigDocument {
    return new ConfigDocument(file, text);
  }

  /** What stands in a section; nothing when the file has none. */
  entries(section: SectionName): readonly Entry[] {
    return this.#sections.get(section) ?? [];
  }

  /** True when the file has the section, be it empty. */
  has(section: SectionName): boolean {
    return this.#sections.has(section);
  }

  /** Where a key, or the file of its secret, is named; null when it is not. */
  nodeOf(section: SectionName, key: string): Node | null {
    const found = this.entries(section).find(({ name }) => name === key || name === `${key}_file`);
    return found?.nameNode ?? null;
  }

  /** What an alias (`*name`) stands for; other nodes as they are. */
  resolve(node: Node): Node {
    return (isAlias(node) && this.#document && node.resolve(this.#document)) || node;
  }

  complain(node: Node | null, message: string, hint = '', severity: Severity = 'error'): void {
    const place = node ? this.placeOf(node) : null;
    const { line = null, column = null } = place ?? {};
    this.problems.push({ file: this.file, line, column, severity, message, hint });
  }

  placeOf(node: Node): { readonly line: number; readonly column: number } {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0);
    return { line, column: col };
  }

  #readSections(document: Document.Parsed): void {
    const root = document.contents as Node | null;
    if (root === null || (isScalar(root) && root.value === null)) return;
    const known = SECTIONS.join(', ');
    if (!isMap(root)) {
      this.complain(root, `must be sections (${known}), each with its keys`);
      return;
    }
    for (const { name, nameNode, value } of this.#unique(root, 'section')) {
      const section = SECTIONS.find((one) => one === name);
      if (section === undefined) {
        this.complain(nameNode, `unknown section '${name}'`, didYouMean(name, SECTIONS) || `known: ${known}`);
      } else if (value === null || (isScalar(value) && value.value === null)) {
        this.#sections.set(section, []);
      } else if (isMap(value)) {
        this.#sections.set(section, this.#unique(value, 'key'));
      } else {
        this.complain(value, `section '${section}' must be keys with values, two spaces further right`);
      }
    }
  }

  /** The entries of a mapping without repeated ones, which are told. */
  #unique(map: YAMLMap, what: 'section' | 'key'): Entry[] {
    const entries = new Map<string, Entry>();
    for (const pair of map.items) {
      const nameNode = pair.key as Node;
      const name = String(isScalar(nameNode) ? nameNode.value : nameNode);
      const first = entries.get(name);
      if (first) {
        const { line } = this.placeOf(first.nameNode);
        this.complain(nameNode, `${what} '${name}' stands twice`, `the first is in line ${line}: keep one`);
      } else {
        entries.set(name, { name, nameNode, value: pair.value ? this.resolve(pair.value as Node) : null });
      }
    }
    return [...entries.values()];
  }

  /** One mistake makes several errors of a YAML parser: the first of each line is told. */
  #noteSyntax(errors: readonly YAMLError[]): void {
    const told = new Set<number>();
    for (const { code, pos } of errors) {
      const { line, col } = this.#lines.linePos(pos[0]);
      if (told.has(line)) continue;
      told.add(line);
      // not the parser's words, which may have the text in them: a secret
      const [said, hint] = SYNTAX[code] ?? [`this is not YAML (${code})`, QUOTES];
      this.problems.push({ file: this.file, line, column: col, severity: 'error', message: said, hint });
    }
  }
}

const QUOTES = 'put quotes around values that begin with [ { * & ! % @ or `';

/** The mistakes of form that are made most, in words that do not need YAML's. */
const SYNTAX: Partial<Record<YAMLError['code'], readonly [message: string, hint: string]>> = {
  TAB_AS_INDENT: ['a tab indents this line', 'YAML takes only spaces there: use two for each level'],
  BAD_INDENT: ['this line is not indented as its neighbours are', 'keys of one section begin in one column'],
  MISSING_CHAR: [
    'a character is missing here',
    'most often a colon with a space behind a key, or a closing quote',
  ],
  UNEXPECTED_TOKEN: ['this was not expected here', QUOTES],
  BAD_SCALAR_START: ['a value cannot begin with this character', QUOTES],
  MULTILINE_IMPLICIT_KEY: ['a key must be in one line with its colon', 'is there a colon behind it?'],
  BLOCK_AS_IMPLICIT_KEY: ['two keys in one line', 'each key has a line of its own'],
  MULTIPLE_DOCS: ['a second document begins here', 'take the line --- away'],
};

function unreadable(file: string, error: NodeJS.ErrnoException): [message: string, hint: string] {
  if (error.code === 'ENOENT')
    return ['there is no such file', `maru config show --defaults > ${file} makes one to begin with`];
  if (error.code === 'EACCES')
    return ['this user may not read it', 'it belongs to root and the group maru, with mode 0640'];
  if (error.code === 'EISDIR') return ['it is a directory', 'name the file in it'];
  return [`it cannot be read: ${error.message}`, ''];
}
