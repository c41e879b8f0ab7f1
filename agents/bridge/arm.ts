import type { Host } from '../host/host.js';
import type { OriginalFile } from './manager.js';
import { type ChangeRecord, PENDING, STATE_DIRECTORY } from './paths.js';
import { begin, startOf } from './pending.js';
import { renderRevert } from './revert-script.js';
import { type ScriptedChange, unitName } from './script-parts.js';
import { renderCommit, renderStep, renderWatchdog } from './scripts.js';
import { uptime } from './snapshot.js';

/**
 * Puts on the disk, synced, all that undoing and confirming a change needs, and only then names it `pending`. Nothing of
 * the network has been touched yet.
 */
export async function writePending(
  host: Host,
  change: ScriptedChange,
  manager: string,
  confirmWithin: number,
): Promise<ChangeRecord> {
  const startedAt = await uptime(host);
  const record: ChangeRecord = {
    id: change.id,
    kind: change.kind,
    bridge: change.bridge,
    uplink: change.uplink,
    manager,
    bootId: change.snapshot.bootId,
    pid: process.pid,
    pidStarted: (await startOf(host, process.pid)) ?? '',
    startedAt,
    // whole seconds, for the watchdog's arithmetic
    deadline: Math.ceil(startedAt + confirmWithin),
    startedTime: host.now().toISOString(),
  };
  const fresh = `${STATE_DIRECTORY}/new-${change.id}`;
  await host.makeDirectory(STATE_DIRECTORY, 0o700);
  await host.makeDirectory(`${fresh}/originals`, 0o700);
  await host.makeDirectory(`${fresh}/permanent`, 0o700);
  const contents = async (directory: string, files: readonly OriginalFile[]) => {
    for (const [index, { content }] of files.entries())
      if (content !== null) await host.writeFile(`${fresh}/${directory}/${index}`, content, 0o600);
  };
  await contents('originals', change.originals);
  await contents('permanent', change.manager.permanent);
  const json = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;
  await host.writeFile(`${fresh}/originals.json`, json(change.originals), 0o600);
  await host.writeFile(`${fresh}/snapshot.json`, json(change.snapshot), 0o600);
  await host.writeFile(`${fresh}/change.json`, json(record), 0o600);
  await host.writeFile(`${fresh}/revert.sh`, renderRevert(change), 0o700);
  await host.writeFile(`${fresh}/commit.sh`, renderCommit(change), 0o700);
  await host.writeFile(`${fresh}/step.sh`, renderStep(change), 0o700);
  await host.writeFile(`${fresh}/watchdog.sh`, renderWatchdog(change), 0o700);
  // later the disk may be full or read-only
  await host.writeFile(`${fresh}/log`, '', 0o600);
  await host.writeFile(`${fresh}/boot-id`, `${change.snapshot.bootId}\n`, 0o600);
  await host.writeFile(`${fresh}/id`, `${change.id}\n`, 0o600);
  await begin(host, fresh);
  return record;
}

/**
 * Starts what undoes the change when this program cannot: a loop in a session of its own, and where systemd runs also the
 * same loop and a timer as units, which outlive the unit or login session that this program is part of. Resolves with
 * warnings; rejects when no loop came up, in which case nothing may be changed.
 */
export async function armWatchdog(host: Host, record: ChangeRecord): Promise<readonly string[]> {
  const loop = [`${PENDING}/watchdog.sh`, `${record.pid}`, record.pidStarted, `${record.deadline}`];
  await host.spawnDetached('/bin/sh', loop);
  const warnings: string[] = [];
  if (await systemdRuns(host)) {
    // a DHCP client that the revert starts again stays when the unit ends
    const kill = ['-p', 'KillMode=process'];
    const quiet = ['--collect', '-q'];
    const properties = ['-p', 'OOMScoreAdjust=-1000', '-p', 'DefaultDependencies=no', ...kill, ...quiet];
    const revert = ['/bin/sh', `${PENDING}/revert.sh`, record.id, 'deadline'];
    const seconds = Math.ceil(record.deadline - (await uptime(host))) + 1;
    const timer = [`--on-active=${seconds}`, '--timer-property=AccuracySec=50ms'];
    for (const args of [
      [`--unit=${unitName('watchdog', record)}`, ...properties, '/bin/sh', ...loop],
      [`--unit=${unitName('deadline', record)}`, ...timer, ...properties, ...revert],
    ])
      await host.run('systemd-run', args).catch((error: Error) => warnings.push(error.message));
  }
  const until = Date.now() + 5000;
  while ((await host.stat(`${PENDING}/watching`)) === null) {
    if (Date.now() > until) throw new Error(`the watchdog ${loop[0]} did not start within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return warnings;
}

/** Takes back a `pending` that nothing has been done for. */
export async function forget(host: Host): Promise<void> {
  // without its id it is nobody's: the watchdog goes, and no script does anything
  await host.removeFile(`${PENDING}/id`);
  await host.removeTree(PENDING);
}

async function systemdRuns(host: Host): Promise<boolean> {
  return (await host.stat('/run/systemd/system')) !== null;
}
