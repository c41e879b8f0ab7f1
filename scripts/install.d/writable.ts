import { dirname, normalize } from 'node:path';
import { type Action, ask, ensureFile, machine } from './actions.js';
import { AGENT_STATE, CONFIG, CONTROLLER_STATE, UNITS, USER } from './layout.js';
import type { Step } from './run-steps.js';
import { readSettings, type Settings } from './settings.js';

/** A directory that a program writes to. */
interface Wanted {
  readonly key: string;
  readonly path: string;
  /** For one that is not there yet. */
  readonly mode: number;
}

/** Where a unit may write anyway; see templates/systemd. */
const OPEN: Readonly<Record<string, readonly string[]>> = {
  [UNITS.controller]: [CONTROLLER_STATE],
  [UNITS.agent]: [AGENT_STATE, '/run'],
};
/** What ProtectHome and PrivateTmp put something else in the place of. */
const HIDDEN = ['/home', '/root', '/run/user', '/tmp', '/var/tmp'];
/** What no program of ours shall be able to change. */
const CLOSED = ['/etc', '/usr', '/boot', '/bin', '/sbin', '/lib', '/lib64', '/proc', '/sys', '/dev'];

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
  for (const wanted of wantedBy(unit, await readSettings())) {
    if ((OPEN[unit] ?? []).some((path) => isWithin(wanted.path, path) && !hides(wanted.path))) continue;
    const problem = problemOf(wanted);
    if (problem) {
      actions.push({ do: 'warn', text: problem });
      continue;
    }
    open.push(wanted.path);
    actions.push(...(await directory(unit, wanted)));
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

function wantedBy(unit: string, { controller, agent }: Settings): Wanted[] {
  if (unit === UNITS.controller) {
    const [, database] = /^sqlite:(.*)$/.exec(controller.database) ?? [];
    const password = dirname(controller.admin_password_file);
    return [
      { key: 'state_dir', path: controller.state_dir, mode: 0o750 },
      { key: 'image_dir', path: controller.image_dir, mode: 0o750 },
      ...(database ? [{ key: 'database', path: dirname(database), mode: 0o750 }] : []),
      ...logOf(controller.log_file, 0o750),
      // in /etc it is one that the operator has written
      ...(isWithin(password, '/etc') ? [] : [{ key: 'admin_password_file', path: password, mode: 0o750 }]),
    ].map(normal);
  }
  if (unit === UNITS.agent) {
    return [{ key: 'state_dir', path: agent.state_dir, mode: 0o711 }, ...logOf(agent.log_file, 0o755)].map(
      normal,
    );
  }
  return [];
}

function logOf(file: string | null, mode: number): Wanted[] {
  return file === null ? [] : [{ key: 'log_file', path: dirname(file), mode }];
}

function normal(wanted: Wanted): Wanted {
  const path = normalize(wanted.path);
  return { ...wanted, path: path.length > 1 ? path.replace(/\/$/, '') : path };
}

function problemOf({ key, path }: Wanted): string | null {
  if (hides(path))
    return `${key} in ${CONFIG} is in ${path}, which the unit's sandbox hides: choose a directory such as /srv/maru`;
  if (path === '/' || CLOSED.some((closed) => isWithin(path, closed)))
    return `${key} in ${CONFIG} is in ${path}, which the unit must not be able to change: give it a directory of its own, such as /srv/maru`;
  return null;
}

/** The directory as the program needs it: made when it is not there, otherwise left as it is. */
async function directory(unit: string, { key, path, mode }: Wanted): Promise<Action[]> {
  const isController = unit === UNITS.controller;
  if (!(await machine.stat(path)))
    return [{ do: 'directory', path, mode, ...(isController ? { owner: `${USER}:${USER}` } : {}) }];
  if (!isController || (await ask('getent', 'passwd', USER)) === null) return [];
  if ((await ask('runuser', '-u', USER, '--', 'test', '-w', path, '-a', '-x', path)) !== null) return [];
  const text = `${key} in ${CONFIG} is in ${path}, and user ${USER} may not write there: chown ${USER}: ${path}, or choose a directory of its own`;
  return [{ do: 'warn', text }];
}

function hides(path: string): boolean {
  return HIDDEN.some((hidden) => isWithin(path, hidden));
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** As systemd reads it between quotes. */
function escaped(path: string): string {
  return path.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%');
}
