import { type Action, ensureFile, ensureGone, machine } from './actions.js';
import { INSTALL_STATE } from './layout.js';
import type { Step } from './run-steps.js';
import { readSettings } from './settings.js';

const PROFILE = '/etc/apparmor.d/usr.lib.libvirt.virt-aa-helper';
/** For additions of the site; the profile includes it. */
export const LOCAL = '/etc/apparmor.d/local/usr.lib.libvirt.virt-aa-helper';
const ENABLED = '/sys/module/apparmor/parameters/enabled';
const LOADED = `${INSTALL_STATE}/apparmor.loaded`;
const REASON = "# Maru: libvirt's helper reads which base image a guest's disk has, to let the guest read it";
/** In the agent's directory, whichever that was when the rule was written. */
const RULE = /\/\{images,servers,volumes\}\/\*\*"? r,$/;

/**
 * Where AppArmor confines guests, libvirt's helper works out from the disks what a guest may open; its profile knows only files in
 * some directories or with some endings, and base images are named by their ids.
 */
export function apparmorStep(): Step {
  return {
    name: 'AppArmor',
    advice: `Is ${PROFILE} as the package made it?`,
    async look(): Promise<Action[]> {
      if (!(await machine.stat(PROFILE))) return [];
      const { agent } = await readSettings();
      const content = withRule((await machine.readFileIfExists(LOCAL)) ?? '', agent.state_dir);
      const file = await ensureFile({ path: LOCAL, content, mode: 0o644 });
      return [...file, ...(await load(content))];
    },
  };
}

/** Takes the rule away again. */
export async function withoutApparmor(): Promise<Action[]> {
  const before = await machine.readFileIfExists(LOCAL);
  const content = before === null ? null : withoutRule(before);
  const noted = await ensureGone(LOADED);
  if (content === null || content === before) return noted;
  return [{ do: 'write', path: LOCAL, content, mode: 0o644 }, ...(await load(content)), ...noted];
}

/** The text with our rule for the agent's directory at its end. */
export function withRule(before: string, stateDir: string): string {
  const others = withoutRule(before);
  // what has a meaning in AppArmor's patterns has none in a directory's name
  const directory = stateDir.replace(/\/+$/, '').replaceAll(/[\\"?*[\]{}^]/g, '\\$&');
  const pattern = `${directory}/{images,servers,volumes}/**`;
  const rule = `${/\s/.test(pattern) ? `"${pattern}"` : pattern} r,`;
  return `${others}${others === '' || others.endsWith('\n') ? '' : '\n'}${REASON}\n${rule}\n`;
}

export function withoutRule(before: string): string {
  const lines = before.split('\n');
  return lines
    .filter((line, i) => line !== REASON && !(lines[i - 1] === REASON && RULE.test(line)))
    .join('\n');
}

/** Has the kernel take the profile as it is now; noted, so that a run that was interrupted before does it again. */
async function load(content: string): Promise<Action[]> {
  if ((await machine.readFileIfExists(ENABLED))?.trim() !== 'Y') return [];
  if ((await machine.readFileIfExists(LOADED)) === content) return [];
  return [
    { do: 'run', argv: ['apparmor_parser', '--replace', PROFILE] },
    { do: 'write', path: LOADED, content, mode: 0o644 },
  ];
}
