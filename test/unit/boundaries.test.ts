import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

/** The boundaries that keep the structure sound; see README.md, "How it is built". */

const ROOT = join(import.meta.dirname, '../..');

interface Source {
  readonly file: string;
  readonly text: string;
  /** Relative imports as paths from the root, packages by name. */
  readonly imports: readonly string[];
}

const sources = ['src', 'agents'].flatMap((folder) => readSources(folder));

function readSources(folder: string): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => {
      const file = join(folder, name);
      const text = readFileSync(join(ROOT, file), 'utf8');
      const found = text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g);
      const imports = [...found].map(([, spec]) =>
        spec!.startsWith('.') ? normalize(join(dirname(file), spec!)) : spec!,
      );
      return { file, text, imports };
    });
}

/** Files (of those under `from`) that import something matching, except the allowed ones. */
function importers(from: RegExp, what: RegExp, allowed?: RegExp): string[] {
  return sources
    .filter(
      (s) => from.test(s.file) && !(allowed?.test(s.file) ?? false) && s.imports.some((i) => what.test(i)),
    )
    .map((s) => s.file);
}

describe('boundaries', () => {
  it('finds the sources it is about', () => {
    expect(sources.length).toBeGreaterThan(100);
    expect(importers(/^src\/store\//, /^kysely$/).length).toBeGreaterThan(5);
  });

  it('only the store speaks SQL', () => {
    expect(importers(/./, /^(kysely|pg|better-sqlite3)$/, /^src\/store\//)).toEqual([]);
  });

  it('api calls core: it writes nothing by itself', () => {
    const writers = sources.filter(
      (s) => /^src\/api\//.test(s.file) && /\.(insertInto|updateTable|deleteFrom)\(/.test(s.text),
    );
    expect(writers.map((s) => s.file)).toEqual([]);
  });

  it('core knows neither HTTP nor hosts', () => {
    expect(importers(/^src\/core\//, /^(fastify|src\/api\/|src\/hosts\/|agents\/)/)).toEqual([]);
  });

  it('store depends on nothing above it', () => {
    expect(importers(/^src\/store\//, /^src\/(api|core|hosts|desired|cli|tasks)\//)).toEqual([]);
  });

  it('desired does not touch hosts, HTTP or agents', () => {
    expect(importers(/^src\/desired\//, /^(src\/(api|hosts|cli)\/|agents\/|node:fs|execa)/)).toEqual([]);
  });

  it('net imports nothing of ours', () => {
    expect(importers(/^src\/net\//, /^(src\/(?!net\/)|agents\/)/)).toEqual([]);
  });

  it('protocol imports nothing of ours', () => {
    expect(importers(/^src\/protocol\//, /^(src\/(?!protocol\/)|agents\/)/)).toEqual([]);
  });

  it('agents use of src only protocol and net', () => {
    expect(importers(/^agents\//, /^src\/(?!protocol\/|net\/)/)).toEqual([]);
  });

  it('the controller does not import agents', () => {
    expect(importers(/^src\//, /^agents\//, /^src\/cli\//)).toEqual([]);
  });

  it('only agents/host runs commands', () => {
    expect(importers(/./, /^(execa|node:child_process)$/, /^agents\/host\//)).toEqual([]);
  });

  it('only agents/host writes files on a host', () => {
    expect(
      importers(/^agents\//, /^(node:)?fs(\/promises)?$/, /^agents\/host\/|^agents\/config\.ts$/),
    ).toEqual([]);
  });

  it('no shell is ever started', () => {
    const shells = sources.filter((s) => /shell:\s*true|'(ba)?sh',\s*\[\s*'-c'/.test(s.text));
    expect(shells.map((s) => s.file)).toEqual([]);
  });

  it('every qemu-img call names the format', () => {
    const calls = sources.flatMap((s) =>
      [...s.text.matchAll(/'qemu-img',\s*\[([^\]]*)\]/g)].map(
        ([, args]) => `${relative('.', s.file)}: ${args}`,
      ),
    );
    expect(calls.filter((call) => !/'-f'|'-F'|\.\.\./.test(call))).toEqual([]);
  });

  it('bodies of transactions do not use the outer connection', () => {
    const offenders = sources.flatMap((s) =>
      transactionBodies(s.text)
        .filter((b) => /store\.(read|tx)\b/.test(b))
        .map(() => s.file),
    );
    expect(offenders).toEqual([]);
  });
});

/** The text of each `.tx(…)` call's arguments, by counting parentheses. */
function transactionBodies(text: string): string[] {
  const bodies: string[] = [];
  for (const { index } of text.matchAll(/store\.tx\(/g)) {
    let depth = 0;
    const start = index + 'store.tx'.length;
    for (let at = start; at < text.length; at++) {
      if (text[at] === '(') depth++;
      else if (text[at] === ')' && --depth === 0) {
        bodies.push(text.slice(start, at));
        break;
      }
    }
  }
  return bodies;
}
