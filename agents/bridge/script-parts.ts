import { words } from './lines.js';
import type { ManagerPlan, OriginalFile } from './manager.js';
import { LOCK, PENDING } from './paths.js';
import type { BridgeChange } from './plan.js';

/** A change with everything that its scripts need to know; they know nothing else, and ask for nothing. */
export interface ScriptedChange extends BridgeChange {
  /** Letters, digits and dashes. */
  readonly id: string;
  readonly manager: ManagerPlan;
  /** Files of `manager.permanent` as they are now, in the same order. */
  readonly originals: readonly OriginalFile[];
}

/** Exit code of scripts that find their change reverted or confirmed. */
export const NO_LONGER_PENDING = 97;

/** Exit code of commit.sh when not all commands of the change have been run. */
export const NOT_APPLIED = 98;

/** What every script begins with: nothing interrupts it, one works at a time, and it knows only its own change. */
export function opening(change: ScriptedChange, purpose: string, otherwise = 0): readonly string[] {
  return [
    '#!/bin/sh',
    `# ${purpose}`,
    `# ${change.kind} of uplink ${words([change.uplink])}, bridge ${words([change.bridge])}, change ${words([change.id])}`,
    "trap '' HUP INT TERM",
    PATH_LINE,
    'cd /',
    '# on a read-only disk too: a host must get its network back whatever its disk does',
    `if { true >> ${LOCK}; } 2>/dev/null; then exec 9>> ${LOCK}`,
    `elif [ -r ${LOCK} ]; then exec 9< ${LOCK}`,
    `else exec 9>> /run/maru-bridge.lock; fi`,
    'flock 9',
    '# nothing that is started below may keep the lock',
    '{',
    `id=; read -r id 2>/dev/null < ${PENDING}/id`,
    `if [ "$id" != ${quote(change.id)} ] || { [ "\${1:--}" != - ] && [ "$1" != "$id" ]; }; then exit ${otherwise}; fi`,
  ];
}

/** Where a revert says that it has begun, and that it is done, when it cannot write below PENDING. */
export function runMarker(what: 'reverting' | 'reverted', change: { readonly id: string }): string {
  return `/run/maru-bridge-${what}-${words([change.id])}`;
}

/** A condition of the shell: a revert of the change has begun. */
export function revertBegan(change: { readonly id: string }): string {
  return `[ -e ${PENDING}/reverting ] || [ -e ${runMarker('reverting', change)} ]`;
}

export function closing(): readonly string[] {
  return ['} 9>&-', ''];
}

/** Puts a kept file, or its absence, in its place: never half of it. */
export function restoreFile(file: OriginalFile, kept: string): string {
  const path = quote(file.path);
  if (file.content === null) return `rm -f ${path}`;
  const fresh = quote(`${file.path}.maru-new`);
  const mode = file.mode.toString(8).padStart(4, '0');
  const directory = quote(file.path.slice(0, file.path.lastIndexOf('/')) || '/');
  return `mkdir -p ${directory} && cp ${kept} ${fresh} && chmod ${mode} ${fresh} && sync ${fresh} && mv ${fresh} ${path}`;
}

/** A command as a line of a script; killed when it takes longer than so many seconds, and 5 s later if it does not mind. */
export function commandLine(argv: readonly string[], seconds = 30): string {
  return `timeout -k 5 ${seconds} ${argv.map(quote).join(' ')}`;
}

/** Writes the file systems of these files' directories to the disk: of a host with slow ones the others do not matter here. */
export function syncLine(files: readonly { readonly path: string }[]): string {
  const directories = new Set(files.map(({ path }) => path.slice(0, path.lastIndexOf('/')) || '/'));
  return commandLine(['sync', '-f', ...directories]);
}

export function quote(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export const PATH_LINE = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH';

/** Name of a transient unit of a change: `deadline` is its timer, `watchdog` its loop. */
export function unitName(what: 'deadline' | 'watchdog', change: { readonly id: string }): string {
  return `maru-bridge-${what}-${words([change.id])}`;
}

/** The timer would find nothing to do, but need not wait for it. */
export function stopTimer(change: ScriptedChange): string {
  return `[ ! -d /run/systemd/system ] || systemctl --no-block stop ${unitName('deadline', change)}.timer 2>/dev/null`;
}
