import { readdir, readFile } from 'node:fs/promises';
import { findRenewable } from '../../protocol/own-authority.js';
import {
  type ClosedDirectory,
  closedDirectories,
  closedWords,
  readOpened,
  type UnitFiles,
  type UnitProgram,
  type WrittenPaths,
} from '../../protocol/unit-paths.js';
import type { WholeReading } from './sections.js';

/** What `maru install` writes into the sandboxes goes by this file alone. */
const INSTALLED = '/etc/maru/maru.yaml';

/** Directories of the configuration that a program's unit, if it is installed here, does not let it write to. */
export async function closedBySandbox(
  program: UnitProgram,
  whole: WholeReading,
  { file = INSTALLED, units }: InstalledUnits = {},
): Promise<ClosedDirectory[]> {
  if (whole.document.file !== file) return [];
  const opened = await readOpened(program, FILES, units);
  return opened === null ? [] : closedDirectories(program, await pathsOf(program, whole), opened);
}

/** For a program that could not start as a unit: what its sandbox has to do with it, in sentences. None outside a unit. */
export async function explainSandbox(
  program: UnitProgram,
  file: string,
  options: InstalledUnits = {},
): Promise<string[]> {
  if (process.env.INVOCATION_ID === undefined) return [];
  try {
    const { readWhole } = await import('./sections.js');
    const closed = await closedBySandbox(program, readWhole(file), options);
    return closed.map((one) => {
      const { what, mend } = closedWords(program, one);
      return `${program}.${one.key} ${what}: ${mend}`;
    });
  } catch {
    // what it failed at has been said
    return [];
  }
}

/** Elsewhere than where the installation has them. */
export interface InstalledUnits {
  /** The file that installed units read. */
  readonly file?: string;
  /** Where units are looked for, the strongest last. */
  readonly units?: readonly string[];
}

async function pathsOf(program: UnitProgram, { controller, agent }: WholeReading): Promise<WrittenPaths> {
  if (program === 'agent') {
    const { state_dir, log_file } = agent.values;
    return { state_dir, log_file };
  }
  const { tls_cert_file: file } = controller.values;
  // what cannot be read here is taken for given
  const own = file === null ? null : await findRenewable(file).catch(() => null);
  return { ...controller.values, own_tls_directory: own?.directory ?? null };
}

const FILES: UnitFiles = {
  read: async (path) => await readFile(path, 'utf8').catch(() => null),
  list: async (path) => await readdir(path).catch(() => []),
};
