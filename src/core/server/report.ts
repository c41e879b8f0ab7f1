import { serverObjects } from '../../desired/server.js';
import { parseKey, specObject } from '../../protocol/keys.js';
import type { ObjectReport } from '../../protocol/messages.js';
import { hostName } from '../../store/compute/hosts.js';
import { findServers, type ServerChange, type ServerRow, takeServer } from '../../store/compute/server.js';
import { nowText, recordChange, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { endAction } from './history.js';
import { saveServer } from './save.js';

/** What hosts report about servers: moves observed state, and wakes the tasks that wait for it. */
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
  const observed_power = report.observed?.power_state ?? server.observed_power;
  const built = server.launched_at !== null;
  // that it is up counts whichever revision it is of: one that is changed, and changed back, is reported once only
  if (report.state === 'applied' && !built && hasRun(report)) {
    const launched_at = report.observed?.launched_at ?? nowText();
    await onUp(tx, server, { observed_power, launched_at });
  } else if (report.state === 'applied' && built && server.failed && !server.task_state && isUp(report)) {
    await onUp(tx, server, { observed_power });
  } else if (
    report.state === 'applied' &&
    built &&
    !server.failed &&
    !server.task_state &&
    (await isCurrent(tx, server, report))
  ) {
    await settle(tx, server, observed_power);
  } else {
    await saveServer(tx, server, { observed_power });
  }
  // what a task waits for can only be news about a server that was not settled
  if (!built || server.task_state !== null) await app.tasks.wake(tx, { kind: 'server', id: server.id });
}

/** A word about the server as it was asked for before is no reason to want anything else. */
async function isCurrent(tx: Tx, server: ServerRow, report: ObjectReport): Promise<boolean> {
  const object = (await serverObjects(tx, [server])).get(server.id)!;
  return report.revision === specObject<'server'>(object).revision;
}

/** A server that is up for the first time, or against expectation: whatever was the matter is over. */
async function onUp(tx: Tx, server: ServerRow, seen: ServerChange): Promise<void> {
  const host = await hostName(tx, server.host_id);
  await endAction(tx, server, host);
  const up = await saveServer(tx, server, { ...seen, failed: 0, fault: null, task_state: null });
  await settle(tx, up, up.observed_power);
}

/** A guest found off although it should run was shut down from inside, or its QEMU died: it stays off until started. */
export async function settle(tx: Tx, server: ServerRow, observed_power: string | null): Promise<void> {
  const off = observed_power === 'shutdown' || observed_power === 'crashed';
  const fell = off && server.power === 'running';
  await saveServer(tx, server, { observed_power, ...(fell ? { power: 'stopped' } : {}) });
  if (fell) await recordChange(tx, 'server', server.id);
}

/** A guest that was started and went off again before we heard of it has succeeded too. */
function hasRun(report: ObjectReport): boolean {
  return isUp(report) || !!report.observed?.launched_at;
}

function isUp(report: ObjectReport): boolean {
  const power = report.observed?.power_state;
  return power === 'running' || power === 'paused';
}
