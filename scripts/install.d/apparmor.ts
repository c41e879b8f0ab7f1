import { type Action, ensureFile, ensureGone, machine } from './actions.js';
import { AGENT_STATE, INSTALL_STATE } from './layout.js';
import type { Step } from './run-steps.js';

const PROFILE = '/etc/apparmor.d/usr.lib.libvirt.virt-aa-helper';
/** For additions of the site; the profile includes it. */
export const LOCAL = '/etc/apparmor.d/local/usr.lib.libvirt.virt-aa-helper';
const ENABLED = '/sys/module/apparmor/parameters/enabled';
const LOADED = `${INSTALL_STATE}/apparmor.loaded`;
const RULE = [
  "# Maru: libvirt's helper reads which base image a guest's disk has, to let the guest read it",
  `${AGENT_STATE}/{images,servers,volumes}/** r,`,
];

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
      const content = withRule((await machine.readFileIfExists(LOCAL)) ?? '');
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

/** The text with our rule at its end. */
export function withRule(before: string): string {
  const others = withoutRule(before);
  return `${others}${others === '' || others.endsWith('\n') ? '' : '\n'}${RULE.join('\n')}\n`;
}

export function withoutRule(before: string): string {
  return before
    .split('\n')
    .filter((line) => !RULE.includes(line))
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
