import { type ServerRow, takeServer } from '../../../store/compute/server.js';
import { findHost } from '../../../store/hosts.js';
import type { Tx } from '../../../store/store.js';
import { unconfirmedHosts } from '../../../store/tombstones.js';
import type { Outcome, Task, TaskKind } from '../../../tasks/kind.js';
import { releaseResources } from '../../allocation/claim.js';
import type { App } from '../../app.js';
import { explainPlacement } from '../../scheduler/place.js';
import { type PlacementHints, recordOf } from '../../scheduler/record.js';
import { assignHost, placementRequest } from '../build.js';
import { takeFromHost } from '../bury.js';
import type { ServerFault } from '../facts.js';
import { endAction } from '../history.js';
import { fault, faultFrom, faultText, type HostWord, wordOfHost } from '../host-word.js';
import { saveServer } from '../save.js';

/** On how many hosts a server is tried before it stays in ERROR. */
const MAX_BUILD_ATTEMPTS = 3;
/** How long the only host that will do may go on trying before the server shows its error. */
const GRACE_S = 15;
/** How long a host may take to confirm that it destroyed what it had begun, before the server shows that it does not. */
const RECEIPT_S = 60;
/** Pause between looks at a host that does not answer, or was perhaps removed. */
const LOOK_S = 15;

export type BuildPayload = {
  readonly hints: PlacementHints;
  /** Why the last host did not do. */
  readonly fault: ServerFault | null;
  /** The deadline passed while the host was silent: the server is in ERROR until the host answers or is removed. */
  readonly stranded: boolean;
};

/**
 * Brings a new server up: place → spawn, and when its host cannot, retract → place. The next host may have it only after the
 * last one confirmed that it holds nothing of it, or was removed: at most one QEMU per server. Cancelling destroys what there is of
 * the guest and leaves the server in ERROR for its owner to delete.
 */
export function buildKind(app: App): TaskKind<BuildPayload> {
  return {
    name: 'server.build',
    first: 'place',
    deadline: app.config.build_timeout,
    uncancellable: null,
    steps: {
      place: { run: (tx, task) => place(app, tx, task), undo: (tx, task) => giveUp(tx, task) },
      spawn: { run: (tx, task) => spawn(app, tx, task) },
      retract: { run: (tx, task) => retract(tx, task) },
    },
    onRetry: (tx, task) => forgetFailures(tx, task),
  };
}

type BuildTask = Task<BuildPayload>;
type BuildOutcome = Outcome<BuildPayload>;

/** The server while it is still to be built; otherwise nothing is left to do. */
async function takeUnbuilt(tx: Tx, task: BuildTask): Promise<ServerRow | null> {
  const server = await takeServer(tx, task.object.id);
  return server && server.delete_requested_at === null && server.launched_at === null ? server : null;
}

async function place(app: App, tx: Tx, task: BuildTask): Promise<BuildOutcome> {
  const server = await takeUnbuilt(tx, task);
  if (!server) return { end: 'done' };
  const deadline = app.config.build_timeout;
  const payload = { fault: null, stranded: false };
  if (server.host_id !== null) return { to: 'spawn', deadline, payload };
  const open = server.run_epoch === 0 ? [] : await unconfirmedHosts(tx, `server/${server.id}`);
  if (open.length > 0) return await awaitReceipts(tx, task, server, open.map(({ name }) => name).join(', '));
  const placed = await assignHost(tx, app, server, task.payload.hints, task.payload.fault);
  if (placed.host_id !== null) return { to: 'spawn', deadline, payload };
  if (placed.failed === 0) return { wait: 'hosts to be heard of', seconds: 1 };
  const why = JSON.parse(placed.fault!) as ServerFault;
  await endAction(tx, placed, null, faultText(why));
  return { end: 'failed', error: why.message };
}

async function awaitReceipts(
  tx: Tx,
  task: BuildTask,
  server: ServerRow,
  hosts: string,
): Promise<BuildOutcome> {
  const wait = `${hosts} to confirm that nothing of the server is left there`;
  if (!task.overdue) return { wait, seconds: LOOK_S };
  const why = fault(
    // messages are for tenants too: hosts are named in the details only
    'The host that the build failed on has not confirmed that it destroyed what it had begun of the server.',
    [
      `Host: ${hosts}`,
      task.payload.fault && faultText(task.payload.fault),
      `The server may not be built elsewhere before. Bring ${hosts} back, or, if it is lost, maru host remove ${hosts}.`,
    ]
      .filter(Boolean)
      .join('\n'),
  );
  await show(tx, server, hosts, why);
  return { wait, seconds: LOOK_S, deadline: null, error: why.message };
}

async function spawn(app: App, tx: Tx, task: BuildTask): Promise<BuildOutcome> {
  const server = await takeUnbuilt(tx, task);
  if (!server) return { end: 'done' };
  if (server.host_id === null) return { to: 'place' };
  if (!(await findHost(tx, server.host_id))) return await leaveRemovedHost(tx, server);
  const word = await wordOfHost(tx, server);
  if (word.current && word.report?.error) return await onError(app, tx, task, server, word);
  if (task.payload.stranded) return await whileStranded(app, server, word);
  if (!task.overdue) return { wait: `${word.host} to start the guest` };
  return await onOverdue(app, tx, task, server, word);
}

/** The host has said what went wrong: another one, if it fits; else this one goes on trying for a while. */
async function onError(
  app: App,
  tx: Tx,
  task: BuildTask,
  server: ServerRow,
  word: HostWord,
): Promise<BuildOutcome> {
  const why = faultFrom(word.report!.error!, word.host);
  const trying = await findElsewhere(app, tx, task, server);
  if (trying === null) return { to: 'retract', payload: { fault: why } };
  if (!task.overdue && !server.failed) {
    await saveServer(tx, trying, { fault: JSON.stringify(why) });
    return { wait: `${word.host} to try again: ${why.message}`, within: GRACE_S, error: why.message };
  }
  await show(tx, trying, word.host, why);
  return { end: 'failed', error: why.message };
}

/** Nothing was heard in time. A host that answers is left for another; one that is silent keeps the server until it speaks. */
async function onOverdue(
  app: App,
  tx: Tx,
  task: BuildTask,
  server: ServerRow,
  word: HostWord,
): Promise<BuildOutcome> {
  const { host } = word;
  if (app.hosts.isUp(server.host_id!)) {
    const why = overdueFault(
      app,
      server,
      `Host ${host} is up but has not reported it done. maru plan ${host} shows what is left to do there.`,
    );
    const trying = await findElsewhere(app, tx, task, server);
    if (trying === null) return { to: 'retract', payload: { fault: why } };
    await show(tx, trying, host, why);
    return { end: 'failed', error: why.message };
  }
  // right after a start nothing has been heard of anybody
  if (!app.hosts.isDown(server.host_id!)) return { wait: `word of ${host}`, seconds: 1, deadline: GRACE_S };
  const before = server.fault === null ? [] : [faultText(JSON.parse(server.fault) as ServerFault)];
  const why = fault(
    'The host did not answer while it was to build the server.',
    [
      `Host: ${host}`,
      `The guest may run there, so it is not built elsewhere. Bring ${host} back, or, if it is lost, maru host remove ${host}.`,
      ...before,
    ].join('\n'),
  );
  await show(tx, server, host, why);
  return {
    wait: `${host} to answer, or to be removed`,
    seconds: LOOK_S,
    deadline: null,
    error: why.message,
    payload: { stranded: true },
  };
}

async function whileStranded(app: App, server: ServerRow, { host }: HostWord): Promise<BuildOutcome> {
  if (!app.hosts.isUp(server.host_id!)) {
    return {
      wait: `${host} to answer, or to be removed`,
      seconds: LOOK_S,
      error: `Host ${host} does not answer`,
    };
  }
  const payload = { stranded: false };
  return { wait: `${host} to start the guest`, deadline: app.config.build_timeout, payload };
}

/** A removed host has nothing to confirm. */
async function leaveRemovedHost(tx: Tx, server: ServerRow): Promise<BuildOutcome> {
  await releaseResources(tx, server.id, server.host_id!);
  await saveServer(tx, server, { host_id: null });
  return { to: 'place' };
}

async function retract(tx: Tx, task: BuildTask): Promise<BuildOutcome> {
  const server = await takeUnbuilt(tx, task);
  if (!server) return { end: 'done' };
  const taken = await takeFromHost(tx, server);
  await saveServer(tx, taken, { task_state: 'scheduling', failed: 0, fault: null });
  return { to: 'place', deadline: RECEIPT_S };
}

/** Null when another host would take the server; else the server with what every host had against it. */
async function findElsewhere(
  app: App,
  tx: Tx,
  task: BuildTask,
  server: ServerRow,
): Promise<ServerRow | null> {
  if (server.build_attempts >= MAX_BUILD_ATTEMPTS) return server;
  const failed = [...new Set([...(JSON.parse(server.failed_hosts) as string[]), server.host_id!])];
  const trial = { ...server, failed_hosts: JSON.stringify(failed) };
  const { hints } = task.payload;
  const verdicts = await explainPlacement(tx, app, await placementRequest(tx, trial, hints));
  if (verdicts.some(({ ok }) => ok)) return null;
  return await saveServer(tx, server, { placement: recordOf({ hostId: null, verdicts }, hints) });
}

/** The server is in ERROR, and its history says why. */
async function show(tx: Tx, server: ServerRow, host: string | null, why: ServerFault): Promise<void> {
  await endAction(tx, server, host, faultText(why));
  await saveServer(tx, server, { failed: 1, fault: JSON.stringify(why), task_state: null });
}

/** Undo: nothing of the guest shall be left; the server stays for its owner to see and delete. */
async function giveUp(tx: Tx, task: BuildTask): Promise<undefined> {
  const server = await takeUnbuilt(tx, task);
  if (!server) return;
  const why = fault(
    task.cancelled ? 'The build was cancelled by an operator.' : 'The server could not be built.',
    task.cancelled ? '' : (task.error ?? ''),
  );
  await show(tx, await takeFromHost(tx, server), null, why);
}

/** An operator who has it tried again has mended something: every host gets another chance. */
async function forgetFailures(tx: Tx, task: BuildTask): Promise<void> {
  const server = await takeUnbuilt(tx, task);
  if (!server) return;
  await saveServer(tx, server, {
    failed: 0,
    fault: null,
    failed_hosts: '[]',
    build_attempts: 0,
    task_state: server.host_id === null ? 'scheduling' : 'spawning',
  });
}

/** What the host last said went wrong; without a word of it, that it took too long. */
function overdueFault(app: App, server: ServerRow, details: string): ServerFault {
  if (server.fault !== null) return JSON.parse(server.fault) as ServerFault;
  return fault(
    `Build of instance ${server.id} did not succeed within ${app.config.build_timeout} seconds.`,
    details,
  );
}
