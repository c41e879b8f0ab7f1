import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { identityService } from '../../src/api/identity/service.js';
import type { Operation } from '../../src/api/shared/operation.js';
import type { App } from '../../src/core/app.js';

/** What OpenStack publishes about a service is declared here, or listed as absent with a reason. */

interface Absence {
  readonly methods: readonly string[];
  readonly path: RegExp;
  readonly line: string;
}

const published = lines('identity.txt').flatMap((line) => {
  const [methods = '', path = ''] = line.split(' ');
  return methods.split(',').map((method) => `${method} ${anonymous(path)}`);
});
const absences = lines('identity-absent.txt').map(absence);
// operations are declared without an app: only their handlers want one
const { operations } = identityService({} as App);
const declared = operations.map(nameOf);

describe('operations of the Identity API', () => {
  it('that are published are declared, or absent for a reason', () => {
    const missing = published.filter((name) => !declared.includes(name) && !absences.some(covers(name)));
    expect(missing).toEqual([]);
  });

  it('that are declared are published, or an extension of ours', () => {
    const unknown = declared
      .map((name) => name.replace(/^HEAD /, 'GET '))
      .filter((name) => !published.includes(name) && !name.includes(' /v3/OS-MARU'));
    expect(unknown).toEqual([]);
  });

  it('are declared once', () => {
    // '' and '/' may differ
    const exact = operations.map(({ method, path }) => `${method} ${path}`);
    expect(exact.filter((name, i) => exact.indexOf(name) !== i)).toEqual([]);
  });

  it('are not said to be absent when they are there or nobody publishes them', () => {
    const stale = absences.filter((one) => {
      const covered = published.filter((name) => covers(name)(one));
      return covered.length === 0 || covered.some((name) => declared.includes(name));
    });
    expect(stale.map(({ line }) => line)).toEqual([]);
  });
});

function lines(file: string): string[] {
  return readFileSync(`test/unit/operations/${file}`, 'utf8')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'));
}

function absence(line: string): Absence {
  const [methods = '', path = '', reason = ''] = line.split(/ \| | (?=\/)/);
  if (!reason) throw new Error(`no reason: ${line}`);
  const pattern = anonymous(path).replace(/[.+?{}]/g, '\\$&');
  return {
    methods: methods === '*' ? [] : methods.split(','),
    path: new RegExp(`^${pattern.replace('*', '.*')}$`),
    line,
  };
}

function covers(name: string): (one: Absence) => boolean {
  const [method = '', path = ''] = name.split(' ');
  return ({ methods, path: pattern }) => (!methods.length || methods.includes(method)) && pattern.test(path);
}

function nameOf({ method, path }: Operation): string {
  return `${method} ${anonymous(path)}`;
}

/** The path without the names of its parameters and without a slash at its end. */
function anonymous(path: string): string {
  return path.replace(/\{[^}]*\}|:[A-Za-z_0-9]+/g, '{}').replace(/(?<=.)\/$/, '') || '/';
}
