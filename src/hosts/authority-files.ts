import { link, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { absentIsNull } from '../protocol/absent.js';
import { parseSecretJson } from '../protocol/secret-text.js';

/** One certificate authority as it is kept. */
export interface AuthorityRecord {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly created_at: string;
}

/** The authorities of an installation, and which of them does what. One file, so every change of them is one step. */
export interface AuthoritiesRecord {
  /** SHA-256 of the certificate that issues hosts' certificates. */
  readonly signing: string;
  /** SHA-256 of the one that the controller's own certificate comes from: all hosts trust it. */
  readonly presenting: string;
  /** When the replacement under way was begun or turned back; null: there is none. */
  readonly since: string | null;
  /** By fingerprint: all that are trusted. */
  readonly authorities: Readonly<Record<string, AuthorityRecord>>;
}

/** A state of the file; its number rises with every change. */
export interface Generation {
  readonly number: number;
  readonly record: AuthoritiesRecord;
}

const NAME = /^ca-(\d+)\.json$/;

/** Reads the newest generation; null when there is none yet. */
export async function readAuthorities(directory: string): Promise<Generation | null> {
  // another controller on this directory may take away what was just listed
  for (let attempt = 1; ; attempt++) {
    const number = Math.max(0, ...(await numbers(directory)));
    if (number === 0) return null;
    try {
      const text = await readFile(file(directory, number), 'utf8');
      const record = parseSecretJson<AuthoritiesRecord>(text);
      return { number, record };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt >= 10) {
        throw new Error(
          `${file(directory, number)} cannot be read (${(error as Error).message}): it holds the key of the certificate authority; restore it from a backup of the state directory`,
          { cause: error },
        );
      }
    }
  }
}

/** Number of the newest generation, without reading it; 0: none. */
export async function newestGeneration(directory: string): Promise<number> {
  return Math.max(0, ...(await numbers(directory)));
}

/**
 * Writes the generation after `before`, durably and readable by its owner alone; false when there is one already: somebody else
 * was faster. The one before is removed, with the keys that were in it.
 */
export async function writeAuthorities(
  directory: string,
  before: number,
  record: AuthoritiesRecord,
): Promise<boolean> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = join(directory, `ca-new-${process.pid}-${Math.random().toString(36).slice(2)}.tmp`);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(record, null, 1)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    // unlike a rename, a link never replaces what is there
    await link(temporary, file(directory, before + 1));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
  await sync(directory);
  for (const number of await numbers(directory)) {
    if (number <= before) await unlink(file(directory, number)).catch(() => {});
  }
  return true;
}

async function numbers(directory: string): Promise<number[]> {
  const names = (await absentIsNull(readdir(directory))) ?? [];
  return names.map((name) => Number(NAME.exec(name)?.[1] ?? 0)).filter((number) => number > 0);
}

function file(directory: string, number: number): string {
  return join(directory, `ca-${number}.json`);
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
