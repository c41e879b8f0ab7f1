import { serverObjects } from '../../desired/server.js';
import { parseKey, specObject } from '../../protocol/keys.js';
import type { ObjectError, ObjectReport } from '../../protocol/messages.js';
import { hostNames } from '../../store/compute/hosts.js';
import { findServers, type ServerRow, takeServer } from '../../store/compute/server.js';
import { nowText, recordChange, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { assignHost } from './build.js';
import { buryOn } from './delete.js';
import type { ServerFault } from './facts.js';
import { endAction } from './history.js';
import { saveServer } from './save.js';

/** On how many hosts a server is tried before it stays in ERROR. */
const MAX_BUILD_ATTEMPTS = 3;
/** How long the only host that will do may go on trying before the server shows its error. */
const BUILD_GRACE_MS = 15_000;

/** What hosts report about servers: moves observed state, ends tasks, reschedules failed builds. */
export async function onServerReports(
  app: App,
  tx: Tx,
  hostId: string,
  reports: readonly ObjectReport[],
): Promise<void> {
  const byId = new Map(
    reports
      .filter((report) => parseKey(report.key).kind === 'server' && report.state !== 'gone')
      .map((report) => [parseKey(report.key).id, report]),
  );
  if (byId.size === 0) return;
  const known = await findServers(tx, [...byId.keys()]);
  for (const { id, host_id, deleted_at } of known) {
    // only the host that a server belongs to is believed
    if (host_id !== hostId || deleted_at !== null) continue;
    const server = await takeServer(tx, id);
    if (server?.host_id !== hostId || server.delete_requested_at !== null) continue;
    await applyReport(app, tx, server, byId.get(id)!);
  }
}

async function applyReport(app: App, tx: Tx, server: ServerRow, report: ObjectReport): Promise<void> {
  const current = report.revision === (await currentRevision(tx, server));
  const host = server.host_id ? ((await hostNames(tx)).get(server.host_id) ?? null) : null;
  const observed_power = report.observed?.power_state ?? server.observed_power;
  if (report.state === 'error') {
    const seen = await saveServer(tx, server, { observed_power });
    if (current) await onError(app, tx, seen, host, report.error ?? { message: 'unknown error' });
    return;
  }
  if (server.launched_at === null || server.failed) {
    // a guest that was started and went off again before we heard of it has succeeded too
    const ran = server.launched_at === null && report.state === 'applied' && !!report.observed?.launched_at;
    if (!isUp(report) && !ran) {
      await saveServer(tx, server, { observed_power });
      return;
    }
    await endAction(tx, server, host);
    const launched = await saveServer(tx, server, {
      observed_power,
      launched_at: server.launched_at ?? report.observed?.launched_at ?? nowText(),
      failed: 0,
      fault: null,
      task_state: null,
      task_deadline: null,
    });
    await settle(tx, launched, observed_power);
    return;
  }
  if (server.task_state !== null) {
    const done = current && finished(server, observed_power);
    if (done) await endAction(tx, server, host);
    await saveServer(tx, server, {
      observed_power,
      ...(done ? { task_state: null, task_deadline: null } : {}),
    });
    return;
  }
  await settle(tx, server, observed_power);
}

/** A guest found off although it should run was shut down from inside, or its QEMU died: it stays off until started. */
export async function settle(tx: Tx, server: ServerRow, observed_power: string | null): Promise<void> {
  const off = observed_power === 'shutdown' || observed_power === 'crashed';
  const fell = off && server.power === 'running';
  await saveServer(tx, server, { observed_power, ...(fell ? { power: 'stopped' } : {}) });
  if (fell) await recordChange(tx, 'server', server.id);
}

function isUp(report: ObjectReport): boolean {
  const power = report.observed?.power_state;
  return report.state === 'applied' && (power === 'running' || power === 'paused');
}

function finished(server: ServerRow, power: string | null): boolean {
  switch (server.task_state) {
    case 'powering-off':
      return power === 'shutdown' || power === 'crashed';
    case 'powering-on':
    case 'rebooting':
    case 'rebooting_hard':
      return power === 'running';
    default:
      return false;
  }
}

async function onError(
  app: App,
  tx: Tx,
  server: ServerRow,
  host: string | null,
  error: ObjectError,
): Promise<void> {
  const fault = faultFrom(error, host);
  if (server.launched_at === null) {
    await onFailedBuild(app, tx, server, host, fault, 'grace');
    return;
  }
  if (server.task_state === null) return;
  await endAction(tx, server, host, `${fault.message}\n${fault.details}`);
  const broken = server.task_state === 'powering-off' ? {} : { failed: 1, fault: JSON.stringify(fault) };
  await saveServer(tx, server, { task_state: null, task_deadline: null, ...broken });
}

/**
 * Tries another host. When there is none the server stays with this one, whose agent goes on trying; it is given `grace` for
 * that (a controller that restarted, an image that came too late), then it is in ERROR. Should its host manage even after
 * that, it becomes ACTIVE.
 */
export async function onFailedBuild(
  app: App,
  tx: Tx,
  server: ServerRow,
  host: string | null,
  fault: ServerFault,
  grace: 'grace' | 'final',
): Promise<void> {
  const stays = server.failed ? server : await tryElsewhere(app, tx, server, fault);
  if (stays === null) return;
  if (grace === 'grace' && !server.failed) {
    const deadline = new Date(Date.now() + BUILD_GRACE_MS).toISOString();
    await saveServer(tx, stays, {
      failed: 0,
      fault: JSON.stringify(fault),
      task_state: 'spawning',
      task_deadline:
        server.task_deadline !== null && server.task_deadline < deadline ? server.task_deadline : deadline,
    });
    return;
  }
  await endAction(tx, server, host, `${fault.message}\n${fault.details}`);
  await saveServer(tx, stays, {
    failed: 1,
    fault: JSON.stringify(fault),
    task_state: null,
    task_deadline: null,
  });
}

/** Gives the server to another host, or (when none will do) gives it back with the host, capacity and ports that it still has. */
async function tryElsewhere(
  app: App,
  tx: Tx,
  server: ServerRow,
  fault: ServerFault,
): Promise<ServerRow | null> {
  if (server.build_attempts >= MAX_BUILD_ATTEMPTS) return server;
  const hostId = server.host_id!;
  const failedHosts = [...new Set([...(JSON.parse(server.failed_hosts) as string[]), hostId])];
  const trial = await saveServer(tx, server, { failed_hosts: JSON.stringify(failedHosts), host_id: null });
  const moved = await assignHost(tx, app, trial, null, fault);
  if (moved.host_id === null) {
    return await saveServer(tx, moved, { host_id: hostId, run_epoch: server.run_epoch });
  }
  await saveServer(tx, moved, { fault: null });
  await buryOn(tx, server, hostId, server.task_request_id);
  return null;
}

/** The revision that the server's host should report, had it done all that was asked. */
async function currentRevision(tx: Tx, server: ServerRow): Promise<string> {
  return specObject<'server'>((await serverObjects(tx, [server])).get(server.id)!).revision;
}

/** An agent's error in the form in which servers show it: the message first, the command and its words as details. */
function faultFrom(error: ObjectError, host: string | null): ServerFault {
  const details = [
    host && `Host: ${host}`,
    error.command && `Command: ${error.command}`,
    error.exit_code !== undefined && error.exit_code !== null && `Exit code: ${error.exit_code}`,
    error.stderr && `Stderr: ${error.stderr}`,
    error.hint && `Hint: ${error.hint}`,
  ].filter((line) => typeof line === 'string');
  return {
    code: 500,
    message: error.message.slice(0, 1000),
    details: details.join('\n'),
    created: nowText(),
  };
}
