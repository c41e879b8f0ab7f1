import { type Action, ask, ensureGone, machine } from './actions.js';
import { withoutApparmor } from './apparmor.js';
import { bridgeState } from './bridges.js';
import { checkMachine } from './checks.js';
import { withoutCredentials } from './clouds.js';
import { MODULES_FILE, SYSCTL_FILE } from './kernel.js';
import { AGENT_STATE, COMMAND, CONTROLLER_STATE, INSTALL_STATE, PROGRAM, UNITS, USER } from './layout.js';
import { GUESTS_BEFORE, GUESTS_FILE } from './libvirt.js';
import { PURGE_NETWORKS, purgeGuests } from './purge.js';
import { checkRemovable, removeDirectory } from './removal.js';
import { type Outcome, runSteps, type Step } from './run-steps.js';
import { withoutShare } from './share.js';

/** What a purge removes; the configuration last. */
const DATA = [AGENT_STATE, CONTROLLER_STATE, '/etc/maru'] as const;

export interface UninstallOptions {
  readonly dryRun: boolean;
  /** Guests with their disks, images, volumes, the database, configuration and keys too. */
  readonly purge: boolean;
}

/** Takes the programs off this machine. Guests go on running, and what they and the cloud consist of stays, unless `purge`. */
export async function uninstall(options: UninstallOptions, print: (line: string) => void): Promise<Outcome> {
  await checkMachine();
  return await runSteps(stepsOf(options.purge), { dryRun: options.dryRun, print });
}

function stepsOf(purge: boolean): Step[] {
  return [
    ...(purge ? [{ name: 'check', look: removable }] : []),
    { name: 'units', look: units },
    ...(purge
      ? [{ name: 'guests', look: purgeGuests }, ...PURGE_NETWORKS.map((look) => ({ name: 'networks', look }))]
      : []),
    {
      name: 'kernel',
      look: async () => [...(await ensureGone(SYSCTL_FILE)), ...(await ensureGone(MODULES_FILE))],
    },
    { name: 'libvirt', look: libvirtGuests },
    { name: 'AppArmor', look: withoutApparmor },
    { name: 'bridges', look: () => bridgeState(purge) },
    ...(purge ? [{ name: 'data', look: data }] : []),
    { name: 'program', look: program },
  ];
}

/** Before anything is stopped: what cannot be removed is said now. */
async function removable(): Promise<Action[]> {
  await checkRemovable(DATA);
  return [];
}

async function units(): Promise<Action[]> {
  const actions: Action[] = [];
  const names = Object.values(UNITS);
  for (const name of names) {
    const state = (await ask('systemctl', 'show', '--property=LoadState', '--value', name))?.trim();
    if (state !== 'loaded') continue;
    if (
      (await ask('systemctl', 'is-active', name)) !== null ||
      (await ask('systemctl', 'is-enabled', name)) !== null
    )
      actions.push({ do: 'run', argv: ['systemctl', 'disable', '--now', name] });
  }
  const files = (await Promise.all(names.map((name) => ensureGone(`/etc/systemd/system/${name}`)))).flat();
  const reload: Action[] = files.length > 0 ? [{ do: 'run', argv: ['systemctl', 'daemon-reload'] }] : [];
  return [...actions, ...files, ...reload];
}

async function libvirtGuests(): Promise<Action[]> {
  const before = await machine.readFileIfExists(GUESTS_BEFORE);
  if (before === null) return [];
  return [
    ...(before === ''
      ? await ensureGone(GUESTS_FILE)
      : [{ do: 'write' as const, path: GUESTS_FILE, content: before, mode: 0o644 }]),
    { do: 'remove', path: GUESTS_BEFORE },
  ];
}

async function program(): Promise<Action[]> {
  const packaged = (await ask('dpkg-query', '-S', PROGRAM)) !== null;
  if (packaged) {
    const text = `${PROGRAM} belongs to a package: remove that with apt-get remove maru`;
    return [...(await ensureGone(INSTALL_STATE)), { do: 'warn', text }];
  }
  // last: it is what runs now
  const share = await withoutShare();
  const paths = [INSTALL_STATE, COMMAND, `${PROGRAM}.new`, `${PROGRAM}.old`, PROGRAM];
  return [...share, ...(await Promise.all(paths.map(ensureGone))).flat()];
}

async function data(): Promise<Action[]> {
  const gone: Action[] = [];
  for (const path of DATA) gone.push(...(await removeDirectory(path)));
  const account: Action[] = (await ask('getent', 'passwd', USER))
    ? [{ do: 'run', argv: ['userdel', USER] }]
    : [];
  return [...gone, ...account, ...(await withoutCredentials())];
}
