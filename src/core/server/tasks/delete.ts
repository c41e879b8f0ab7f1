import { takeServer } from '../../../store/compute/server.js';
import { findReportsOf } from '../../../store/reports.js';
import { nowText, type Tx } from '../../../store/store.js';
import { unconfirmedHosts } from '../../../store/tombstones.js';
import type { Outcome, Task, TaskKind } from '../../../tasks/kind.js';
import { releaseResources } from '../../allocation/claim.js';
import type { App } from '../../app.js';
import { deleteServerPorts } from '../../port/for-server.js';
import { buryOn } from '../bury.js';
import { endAction } from '../history.js';
import { saveServer } from '../save.js';

/** How long a host that is up may take before the task says that it is late; it goes on waiting all the same. */
const DELETE_S = 300;
/** Pause between looks whether a host has gone down. */
const LOOK_S = 5;

/**
 * Deletes a server: quota and ports are free at once and its host is told to destroy it (bury); the API forgets it when every host that
 * may have something of it has confirmed, or is down (await). The tombstones stay for when those hosts are back.
 */
export function deleteKind(app: App): TaskKind {
  return {
    name: 'server.delete',
    first: 'bury',
    deadline: DELETE_S,
    uncancellable: 'a server that is being deleted cannot be kept: its ports are gone and its disks may be',
    steps: {
      bury: { run: (tx, task) => bury(tx, task) },
      await: { run: (tx, task) => awaitReceipts(app, tx, task) },
    },
  };
}

async function bury(tx: Tx, task: Task): Promise<Outcome> {
  const server = await takeServer(tx, task.object.id);
  if (!server) return { end: 'done' };
  const leaving = await saveServer(tx, server, {
    delete_requested_at: server.delete_requested_at ?? nowText(),
    task_state: 'deleting',
    task_request_id: task.requestId,
  });
  if (leaving.host_id !== null) await buryOn(tx, leaving, leaving.host_id, task.requestId);
  await deleteServerPorts(tx, leaving.id);
  return { to: 'await' };
}

async function awaitReceipts(app: App, tx: Tx, task: Task): Promise<Outcome> {
  const server = await takeServer(tx, task.object.id);
  if (!server) return { end: 'done' };
  const open = await unconfirmedHosts(tx, `server/${server.id}`);
  const waited = open.filter(({ id }) => !app.hosts.isDown(id));
  if (waited.length === 0) {
    await endAction(tx, server, null);
    await saveServer(tx, server, { deleted_at: nowText(), task_state: null });
    // on hosts that have yet to confirm it keeps what it has
    if (open.length === 0) await releaseResources(tx, server.id);
    return { end: 'done' };
  }
  const names = waited.map(({ name }) => name).join(', ');
  const wait = `${names} to destroy it`;
  const reports = await findReportsOf(tx, `server/${server.id}`);
  const said = reports.find((r) => r.error && waited.some(({ id }) => id === r.host_id))?.error?.message;
  if (!task.overdue) return { wait, seconds: LOOK_S, error: said };
  const late = `${names} has not confirmed within ${DELETE_S} s that it destroyed the server`;
  return { wait, seconds: LOOK_S, deadline: DELETE_S, error: said ? `${late}: ${said}` : late };
}
