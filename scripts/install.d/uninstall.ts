import { withoutPasswords } from '../../src/protocol/config/secrets.js';
import { type Action, ask, ensureGone, machine } from './actions.js';
import { withoutApparmor } from './apparmor.js';
import { bridgeState } from './bridges.js';
import { checkMachine } from './checks.js';
import { withoutCredentials } from './clouds.js';
import { MODULES_FILE, SYSCTL_FILE } from './kernel.js';
import { AGENT_STATE, COMMAND, CONTROLLER_STATE, INSTALL_STATE, PROGRAM, UNITS, USER } from './layout.js';
import { GUESTS_BEFORE, GUESTS_FILE } from './libvirt.js';
import { PURGE_NETWORKS, purgeGuests } from './purge.js';
import { checkRemovable, type Removable, removeDirectory } from './removal.js';
import { type Outcome, runSteps, type Step } from './run-steps.js';
import { readSettings } from './settings.js';
import { withoutShare } from './share.js';
import { withoutWritablePaths } from './writable.js';

/** What the agent has in its directory. */
const OF_THE_AGENT =
  /^(images|servers|volumes|made|network|dhcp|ra|boot)$|^(identity|join-key|spec|drift|removed|virtualisation|kvm-probe)\./;

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
  await checkRemovable(await dataDirectories());
  return [];
}

/** What a purge removes; last the configuration, which says what the rest is. */
async function dataDirectories(): Promise<Removable[]> {
  const { agent } = await readSettings();
  // a directory that the operator has chosen may hold other things
  const chosen = agent.state_dir === AGENT_STATE ? [] : [{ path: agent.state_dir, ours: OF_THE_AGENT }];
  return [...chosen, { path: AGENT_STATE }, { path: CONTROLLER_STATE }, { path: '/etc/maru' }];
}

/** What the controller has elsewhere may be shared with others: it is named. */
async function elsewhere(): Promise<Action[]> {
  const { state_dir, image_dir, database } = (await readSettings()).controller;
  const places = [state_dir, image_dir, database.replace(/^sqlite:/, '')].map(withoutPasswords);
  const left = [...new Set(places)].filter((place) => !place.startsWith(`${CONTROLLER_STATE}/`));
  const others = left.filter((place) => place !== CONTROLLER_STATE);
  if (others.length === 0) return [];
  return [
    { do: 'warn', text: `not removed, since the configuration has them elsewhere: ${others.join(', ')}` },
  ];
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
  const files: Action[] = [];
  for (const name of names) {
    files.push(...(await ensureGone(`/etc/systemd/system/${name}`)), ...(await withoutWritablePaths(name)));
  }
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
  const gone = await elsewhere();
  for (const { path, ours } of await dataDirectories()) gone.push(...(await removeDirectory(path, ours)));
  const account: Action[] = (await ask('getent', 'passwd', USER))
    ? [{ do: 'run', argv: ['userdel', USER] }]
    : [];
  return [...gone, ...account, ...(await withoutCredentials())];
}
