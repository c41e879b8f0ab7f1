import type { Host } from '../host/host.js';
import { differences } from './compare.js';
import { BridgeRefusal } from './manager.js';
import type { Snapshot } from './model.js';
import { type ChangeRecord, confirmedDirectory, LAST, LOCK, PENDING, STATE_DIRECTORY } from './paths.js';
import { NO_LONGER_PENDING, NOT_APPLIED, runMarker } from './script-parts.js';
import { takeSnapshot, uptime } from './snapshot.js';

/** A change that is on trial. */
export interface PendingChange {
  readonly record: ChangeRecord;
  /** It waits for `maru bridge confirm`. */
  readonly awaiting: boolean;
  /** All its commands have been run. */
  readonly applied: boolean;
  readonly secondsLeft: number;
  /** Nobody will finish it: its process is gone, its deadline has passed, or the host has been booted since. */
  readonly abandoned: boolean;
}

/** What a revert came to: `differs` says what is not as before, and is empty when all is. */
export interface Reverted {
  readonly reason: string;
  readonly differs: readonly string[];
}

/** The change on trial; null when there is none. */
export async function readPending(host: Host): Promise<PendingChange | null> {
  const record = await readRecord(host, PENDING);
  if (!record) return null;
  const awaiting = (await host.stat(`${PENDING}/awaiting`)) !== null;
  const secondsLeft = record.deadline - (await uptime(host));
  const booted = (await host.readFile('/proc/sys/kernel/random/boot_id')).trim() !== record.bootId;
  const alive = (await startOf(host, record.pid)) === record.pidStarted;
  return {
    record,
    awaiting,
    applied: (await host.stat(`${PENDING}/applied`)) !== null,
    secondsLeft,
    abandoned: booted || secondsLeft < -1 || !(awaiting || alive),
  };
}

/** Throws a BridgeRefusal while another change is on trial; one that nobody will finish is undone first. */
export async function clearTheWay(host: Host): Promise<void> {
  const pending = await readPending(host);
  if (!pending) {
    // a directory without a record was never begun: nothing had been changed yet
    await underLock(host, `[ -e ${PENDING}/change.json ] || rm -rf ${PENDING}`);
    return;
  }
  const { record } = pending;
  if (!pending.abandoned)
    throw new BridgeRefusal(
      `a ${record.kind} of ${record.bridge} (uplink ${record.uplink}) is under way, with ${Math.ceil(pending.secondsLeft)} s left`,
      'maru bridge confirm keeps it, maru bridge revert undoes it',
    );
  await revert(host, record.id, 'abandoned');
}

/** Names what has been written `pending`; another change that was first stays, and that is a refusal. */
export async function begin(host: Host, fresh: string): Promise<void> {
  await host.makeDirectory(STATE_DIRECTORY, 0o700);
  if (
    !(await underLock(host, `! [ -e ${PENDING} ] && mv -T ${fresh} ${PENDING} && sync ${STATE_DIRECTORY}`))
  ) {
    await host.removeTree(fresh);
    throw new BridgeRefusal('another change was begun just now', 'maru bridge status shows it');
  }
}

/** Lines of a shell script, while no script of a change is at work. Resolves with whether they succeeded. */
async function underLock(host: Host, script: string): Promise<boolean> {
  if ((await host.stat(STATE_DIRECTORY)) === null) return true;
  const { exitCode } = await host.run('flock', ['-w', '60', LOCK, 'sh', '-c', script], {
    okCodes: [0, 1],
    timeoutMs: 90_000,
  });
  return exitCode === 0;
}

/** Undoes a change and says what is not as before. Whoever was first did it; this only waits then. */
export async function revert(host: Host, id: string, reason: string): Promise<Reverted> {
  if ((await readRecord(host, PENDING))?.id === id) {
    // 127 and 2: another process has reverted it and moved the script away just now
    const okCodes = [0, 2, 127];
    await host.run('/bin/sh', [`${PENDING}/revert.sh`, id, reason], { timeoutMs: 300_000, okCodes });
  }
  return await lastRevert(host, id);
}

/** How the change ended that was reverted last, compared with its snapshot; throws when it was another one. */
export async function lastRevert(host: Host, id: string): Promise<Reverted> {
  // on a disk that cannot be written it was undone, and stays where it was
  const unwritten = await host.readFileIfExists(runMarker('reverted', { id }));
  const directory = unwritten === null ? LAST : PENDING;
  const record = await readRecord(host, directory);
  if (record?.id !== id)
    throw new Error(`change ${id} has neither been reverted nor is it under way; see ${STATE_DIRECTORY}`);
  const before = JSON.parse(await host.readFile(`${directory}/snapshot.json`)) as Snapshot;
  const result = unwritten ?? (await host.readFileIfExists(`${directory}/result`)) ?? '';
  const reason = result.replace(/^reverted: /, '').trim();
  const booted = (await host.readFile('/proc/sys/kernel/random/boot_id')).trim() !== before.bootId;
  return {
    reason,
    // after a boot the network was made anew by the host's own configuration
    differs: booted ? [] : differences(before, await takeSnapshot(host, before.device)),
  };
}

/** Makes the change permanent. Resolves with whether it was: false when it had been reverted. Rejects when a command failed; with BridgeRefusal while it is being made. */
export async function commit(host: Host, record: ChangeRecord): Promise<boolean> {
  const result = await host.run('/bin/sh', [`${PENDING}/commit.sh`, record.id], {
    timeoutMs: 300_000,
    okCodes: [0, 2, 4, NO_LONGER_PENDING, NOT_APPLIED, 127],
  });
  if (result.exitCode === 0) return true;
  if (result.exitCode === NOT_APPLIED)
    throw new BridgeRefusal(
      `the ${record.kind} of ${record.bridge} is still being made; half of it cannot be kept`,
      'wait until it is on trial (maru bridge status), or undo it: maru bridge revert',
    );
  if (result.exitCode === 4)
    throw new Error(
      `the configuration could not be made permanent: ${(result.stdout + result.stderr).trim()}`,
    );
  return await wasConfirmed(host, record);
}

/** Whether somebody else confirmed it. */
export async function wasConfirmed(host: Host, record: ChangeRecord): Promise<boolean> {
  if ((await readRecord(host, confirmedDirectory(record.bridge)))?.id === record.id) return true;
  if ((await readRecord(host, LAST))?.id !== record.id) return false;
  return (await host.readFileIfExists(`${LAST}/result`))?.trim() === 'confirmed';
}

/** The record kept in a directory; null when there is none. */
export async function readRecord(host: Host, directory: string): Promise<ChangeRecord | null> {
  const text = await host.readFileIfExists(`${directory}/change.json`);
  return text === null ? null : (JSON.parse(text) as ChangeRecord);
}

/** When a process was started, in clock ticks since boot; null when it is gone or only waits to be buried. */
export async function startOf(host: Host, pid: number): Promise<string | null> {
  const stat = await host.readFileIfExists(`/proc/${pid}/stat`).catch(() => null);
  if (stat === null) return null;
  // after the name in brackets, which may contain anything, come state and further fields
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}
