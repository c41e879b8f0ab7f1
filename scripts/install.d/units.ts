import { createHash } from 'node:crypto';
import { type Action, ask, ensureFile, ensureGone, machine, quoted } from './actions.js';
import { configuredSection } from './config-file.js';
import { INSTALL_STATE, TEMPLATES } from './layout.js';
import { programVersion } from './program-tree.js';
import type { Step } from './run-steps.js';
import { dropInOf } from './writable.js';

const READY_MS = 90_000;

/** The part of the configuration that a program was started with. Certificates are no part of this: it reads them again by itself. */
type Section = 'controller' | 'agent';

/** Installs unit files, unless the package has, and enables them. */
export function unitFilesStep(names: readonly string[]): Step {
  return {
    name: 'units',
    async look(): Promise<Action[]> {
      const actions: Action[] = [];
      const enable: string[] = [];
      let stale = false;
      for (const name of names) {
        const content = await machine.readFileIfExists(`${TEMPLATES}/systemd/${name}`);
        if (content === null)
          throw new Error(`${TEMPLATES}/systemd/${name} is missing: this copy of Maru is not whole`);
        const path = `/etc/systemd/system/${name}`;
        const packaged = (await packagedUnit(name)) === content;
        actions.push(...(await (packaged ? ensureGone(path) : ensureFile({ path, content, mode: 0o644 }))));
        if (await isStale(name)) stale = true;
        if ((await ask('systemctl', 'is-enabled', name))?.trim() !== 'enabled') enable.push(name);
      }
      if (stale || actions.length > 0) actions.push({ do: 'run', argv: ['systemctl', 'daemon-reload'] });
      if (enable.length > 0) actions.push({ do: 'run', argv: ['systemctl', 'enable', ...enable] });
      return actions;
    },
  };
}

/**
 * Starts a unit, or starts it again when program, unit file or configuration are not those it was started with, and waits until
 * `ready` says so. What it was started with is noted only then: an interrupted run does it once more.
 */
export function runningStep(unit: string, section: Section, ready: () => Promise<string | null>): Step {
  const note = `${INSTALL_STATE}/${unit}.started`;
  return {
    name: unit.replace('.service', ''),
    advice: `Its log: journalctl -u ${unit} -n 50`,
    async look(): Promise<Action[]> {
      const state = (await ask('systemctl', 'show', '--property=ActiveState', '--value', unit))?.trim();
      const digest = await digestOf(unit, section);
      const fresh = (await machine.readFileIfExists(note)) === digest;
      if (state === 'active' && fresh) return [];
      const verb = state === 'inactive' || state === 'failed' ? 'start' : 'restart';
      return [
        { do: 'run', argv: ['systemctl', verb, unit] },
        {
          do: 'call',
          say: `wait until ${unit} is ready`,
          call: async () => {
            await waitReady(unit, ready);
            await machine.makeDirectory(INSTALL_STATE, 0o755);
            await machine.writeFile(note, await digestOf(unit, section), 0o644);
          },
        },
      ];
    },
  };
}

/** A run that was interrupted may have left systemd with the file before. */
async function isStale(unit: string): Promise<boolean> {
  return (await ask('systemctl', 'show', '--property=NeedDaemonReload', '--value', unit))?.trim() === 'yes';
}

async function packagedUnit(name: string): Promise<string | null> {
  return (
    (await machine.readFileIfExists(`/usr/lib/systemd/system/${name}`)) ??
    (await machine.readFileIfExists(`/lib/systemd/system/${name}`))
  );
}

async function waitReady(unit: string, ready: () => Promise<string | null>): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const wrong = await ready().catch((error: Error) => error.message);
    if (wrong === null) return;
    if (Date.now() > deadline) {
      const log = await ask('journalctl', '-u', unit, '-n', '15', '--no-pager', '-o', 'cat');
      throw new Error(
        `${unit} is not ready within ${READY_MS / 1000} s: ${wrong}\nWhat it said last (${quoted(['journalctl', '-u', unit])}):\n${log ?? 'nothing'}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function digestOf(unit: string, section: Section): Promise<string> {
  const hash = createHash('sha256').update(await programVersion());
  hash.update(JSON.stringify(await configuredSection(section)));
  const unitFiles = [`/etc/systemd/system/${unit}`, `/usr/lib/systemd/system/${unit}`, dropInOf(unit)];
  for (const file of unitFiles) {
    hash.update(`\0${file}\0${(await machine.readFileIfExists(file)) ?? ''}`);
  }
  return `${hash.digest('hex')}\n`;
}
