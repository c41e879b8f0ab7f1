import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { Store } from '../../src/store/store.js';
import { DatabaseUnavailable } from '../../src/store/unavailable.js';
import { sharedResource } from './shared.js';

export const DIALECTS = ['sqlite', 'postgres'] as const;
export type Dialect = (typeof DIALECTS)[number];

/**
 * Declares a suite once for each database: `describe('NAME on sqlite')` and `describe('NAME on postgres')`. Each call of
 * `openStore` gives a new, empty, migrated database; all are closed and removed when the suite ends.
 */
export function forEachStore(
  name: string,
  suite: (openStore: () => Promise<Store>, dialect: Dialect) => void,
): void {
  for (const dialect of DIALECTS) {
    describe(`${name} on ${dialect}`, () => {
      const cleanups: (() => Promise<void> | void)[] = [];
      afterAll(async () => {
        for (const cleanup of cleanups.reverse()) await cleanup();
      });
      suite(async () => {
        const store = await Store.open(await newDatabase(dialect, cleanups));
        cleanups.push(() => store.close());
        return store;
      }, dialect);
    });
  }
}

/**
 * Does it again as long as the database cannot be had, as clients do that are told so: when many ask at once on a slow machine, more
 * of them wait for a connection than get one in time.
 */
export async function untilAvailable<T>(body: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await body();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error;
    }
  }
}

/** The URL of a new, empty database; `cleanups` gets what removes it. */
export async function newDatabase(
  dialect: Dialect,
  cleanups: (() => Promise<void> | void)[],
): Promise<string> {
  if (dialect === 'postgres') return await sharedResource('postgres-database');
  const directory = mkdtempSync(join(tmpdir(), 'maru-store-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return `sqlite:${directory}/maru.db`;
}
