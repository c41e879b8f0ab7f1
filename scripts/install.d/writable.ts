import { dirname } from 'node:path';
import {
  isOpenAnyway,
  isWithin,
  UNIT_OF,
  type UnitProgram,
  type WrittenDirectory,
  whyNever,
  writtenDirectories,
} from '../../src/protocol/unit-paths.js';
import { type Action, ask, ensureFile, machine } from './actions.js';
import { CONFIG, USER } from './layout.js';
import type { Step } from './run-steps.js';
import { configured, readSettings } from './settings.js';
import { isOwnCertificate } from './tls-files.js';

const PROGRAMS = Object.keys(UNIT_OF) as UnitProgram[];
type Wanted = WrittenDirectory;

/** Of directories that are not there yet. */
const MODES: Readonly<Record<UnitProgram, { readonly log_file: number; readonly others: number }>> = {
  controller: { log_file: 0o750, others: 0o750 },
  agent: { log_file: 0o755, others: 0o711 },
};

/** Units may write where the configuration says. */
export function writableStep(units: readonly string[]): Step {
  return {
    name: 'directories',
    advice: `What is in ${CONFIG} says which: maru config show`,
    async look(): Promise<Action[]> {
      const actions = (await Promise.all(units.map(writablePaths))).flat();
      const changed = actions.some((action) => action.do === 'write' || action.do === 'remove');
      return changed ? [...actions, { do: 'run', argv: ['systemctl', 'daemon-reload'] }] : actions;
    },
  };
}

/** Gives a unit the directories that the configuration names outside those it may write to by itself: made, and open in its sandbox. */
export async function writablePaths(unit: string): Promise<Action[]> {
  const file = dropInOf(unit);
  const actions: Action[] = [];
  const open: string[] = [];
  const program = PROGRAMS.find((one) => UNIT_OF[one] === unit);
  if (program === undefined) return [];
  for (const wanted of await wantedBy(program)) {
    if (isOpenAnyway(program, wanted.path)) continue;
    const problem = problemOf(wanted);
    if (problem) {
      actions.push({ do: 'warn', text: problem });
      continue;
    }
    open.push(wanted.path);
    actions.push(...(await directory(program, wanted)));
  }
  if (open.length === 0) return [...actions, ...(await withoutWritablePaths(unit))];
  return [...actions, ...(await ensureFile({ path: file, content: dropIn(open), mode: 0o644 }))];
}

/** Takes a unit's additional directories away from it; the directories stay. */
export async function withoutWritablePaths(unit: string): Promise<Action[]> {
  const file = dropInOf(unit);
  if (!(await machine.stat(file))) return [];
  const names = await machine.listDirectory(dirname(file));
  return [{ do: 'remove', path: names.length === 1 ? dirname(file) : file }];
}

export function dropInOf(unit: string): string {
  return `/etc/systemd/system/${unit}.d/paths.conf`;
}

/** The text of the drop-in; of directories within others only those others. */
export function dropIn(paths: readonly string[]): string {
  const all = [...new Set(paths)].sort();
  const outer = all.filter((path) => !all.some((other) => other !== path && isWithin(path, other)));
  const lines = (name: string) => outer.map((path) => `${name}="${escaped(path)}"\n`).join('');
  return `# Written by maru install from ${CONFIG}: change that, and install again\n[Unit]\n${lines('RequiresMountsFor')}\n[Service]\n${lines('ReadWritePaths')}`;
}

async function wantedBy(program: UnitProgram): Promise<Wanted[]> {
  const { controller, agent } = await readSettings();
  if (program === 'agent') {
    return writtenDirectories({ state_dir: agent.state_dir, log_file: agent.log_file });
  }
  const file = await configured('controller', 'tls_cert_file');
  const own = typeof file === 'string' && (await isOwnCertificate(file));
  return writtenDirectories({ ...controller, own_tls_directory: own ? dirname(file) : null });
}

function problemOf({ key, path }: Wanted): string | null {
  const why = whyNever(path);
  if (why === 'hidden')
    return `${key} in ${CONFIG} is in ${path}, which the unit's sandbox hides: choose a directory such as /srv/maru`;
  if (why === 'forbidden')
    return `${key} in ${CONFIG} is in ${path}, which the unit must not be able to change: give it a directory of its own, such as /srv/maru`;
  return null;
}

/** The directory as the program needs it: made when it is not there, otherwise left as it is. */
async function directory(program: UnitProgram, { key, path }: Wanted): Promise<Action[]> {
  const isController = program === 'controller';
  const mode = MODES[program][key === 'log_file' ? key : 'others'];
  if (!(await machine.stat(path)))
    return [{ do: 'directory', path, mode, ...(isController ? { owner: `${USER}:${USER}` } : {}) }];
  if (!isController || (await ask('getent', 'passwd', USER)) === null) return [];
  if ((await ask('runuser', '-u', USER, '--', 'test', '-w', path, '-a', '-x', path)) !== null) return [];
  const text = `${key} in ${CONFIG} is in ${path}, and user ${USER} may not write there: chown ${USER}: ${path}, or choose a directory of its own`;
  return [{ do: 'warn', text }];
}

/** As systemd reads it between quotes. */
function escaped(path: string): string {
  return path.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%');
}
