import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { commandFacts } from '../../src/cli/command-facts.js';
import { createProgram } from '../../src/cli/program.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(`${ROOT}${file}`, 'utf8');
const README = { 'README.md': read('README.md'), 'README.ko.md': read('README.ko.md') };

/** Fenced blocks, as they are. */
const blocks = (text: string) =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((m) => ({ kind: m[1], text: m[2]! }));
const prose = (text: string) => text.replaceAll(/^```[\s\S]*?^```$/gm, '');
const headings = (text: string) => [...prose(text).matchAll(/^(#+) /gm)].map((m) => m[1]!.length);
/** Words in backticks outside blocks. */
const quoted = (text: string) => [...prose(text).matchAll(/`([^`\n]+)`/g)].map((m) => m[1]!);
const tables = (text: string) =>
  prose(text)
    .split('\n')
    .filter((line) => line.startsWith('|')).length;

/** Command lines of `maru`, without the words that are examples. */
const maruLines = (text: string) =>
  [...quoted(text), ...blocks(text).flatMap((block) => (block.kind === 'sh' ? block.text.split('\n') : []))]
    .map((line) =>
      line
        .replace(/^sudo /, '')
        .replace(/^\.\/scripts\/(maru|install)\b/, (_, name) => (name === 'maru' ? 'maru' : 'maru install')),
    )
    .filter((line) => /^maru [a-z]/.test(line));

const COMMANDS = new Map(commandFacts(createProgram()).map((facts) => [facts.words.join(' '), facts]));
const TOP = COMMANDS.get('maru')!.subcommands;

/** The command that a line's words lead to, and those of its words and options that there are not. */
function resolve(line: string): { command: string; wrong: string[] } {
  let facts = COMMANDS.get('maru')!;
  const wrong: string[] = [];
  let wantsValue = false;
  const options = new Map(facts.options.map((option) => [option.long, option]));
  for (const word of line.split(/\s+/).slice(1)) {
    if (['>', '|', '<', '--'].includes(word)) break;
    if (word.startsWith('-')) {
      if (!options.has(word)) wrong.push(word);
      wantsValue = options.get(word)?.value != null;
      continue;
    }
    const next = COMMANDS.get(`${facts.words.join(' ')} ${word}`);
    if (next) {
      facts = next;
      for (const option of next.options) options.set(option.long, option);
    } else if (!wantsValue && (!facts.runs || facts.arguments.length === 0)) wrong.push(word);
    wantsValue = false;
  }
  if (!facts.runs) wrong.push('(a subcommand is missing)');
  return { command: facts.words.slice(1).join(' '), wrong };
}

describe('README.md and README.ko.md', () => {
  const [english, korean] = [README['README.md'], README['README.ko.md']];

  it('have the same headings, blocks, tables and words in backticks, so that they say the same', () => {
    expect(headings(korean)).toEqual(headings(english));
    expect(blocks(korean)).toEqual(blocks(english));
    expect(blocks(english).length).toBeGreaterThan(10);
    expect(tables(korean)).toBe(tables(english));
    expect(quoted(korean).toSorted()).toEqual(quoted(english).toSorted());
  });

  it('are each in their language', () => {
    expect(prose(english).match(/[가-힣]/g)?.length ?? 0).toBeLessThan(5);
    expect(prose(korean).match(/[가-힣]/g)?.length ?? 0).toBeGreaterThan(2000);
  });

  for (const [file, text] of Object.entries(README)) {
    it(`${file} names commands and options that exist`, () => {
      const lines = maruLines(text);
      expect(lines.length).toBeGreaterThan(40);
      for (const line of lines) expect(resolve(line).wrong, line).toEqual([]);
    });

    it(`${file} names no option by itself that no command has`, () => {
      const known = new Set([...COMMANDS.values()].flatMap((facts) => facts.options.map((o) => o.long)));
      const alone = quoted(text).flatMap((words) =>
        words.startsWith('--') ? words.match(/--[a-z-]+/g)! : [],
      );
      expect(alone.length).toBeGreaterThan(5);
      for (const option of alone) expect([...known, '--help', '--down'], option).toContain(option);
    });

    it(`${file} names every command`, () => {
      const named = new Set(maruLines(text).map((line) => resolve(line).command.split(' ')[0]));
      for (const command of TOP) expect(named, command).toContain(command);
    });

    it(`${file} names files and folders that are there`, () => {
      const own = /^(src|agents|test|scripts|vagrant|templates)(\/[\w./-]*)?$/;
      const paths = [
        ...quoted(text).filter((word) => own.test(word)),
        ...[...text.matchAll(/\.\/(scripts\/[\w-]+)/g)].map((m) => m[1]!),
      ];
      expect(paths.length).toBeGreaterThan(8);
      for (const path of paths) expect(existsSync(`${ROOT}${path}`), path).toBe(true);
    });
  }
});
