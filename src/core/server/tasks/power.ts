import { type ServerRow, takeServer } from '../../../store/compute/server.js';
import { recordChange, type Tx } from '../../../store/store.js';
import type { Outcome, Task, TaskKind } from '../../../tasks/kind.js';
import type { App } from '../../app.js';
import { endAction } from '../history.js';
import { faultFrom, faultText, type HostWord, wordOfHost } from '../host-word.js';
import { settle } from '../report.js';
import { saveServer } from '../save.js';

/** Seconds that a host has for a change of power before the task is given up; the wish itself stays. */
const POWER_TIMEOUT_S = 120;

export type PowerChange = 'start' | 'stop' | 'soft-reboot' | 'hard-reboot';
export type PowerPayload = {
  readonly action: PowerChange;
  /** What power was wanted before: what cancelling goes back to. */
  readonly before: string;
};

/**
 * Changes of power: what is wanted goes into the row (ask), then the host's word is waited for (await). Cancelling takes the wish back
 * as far as it can be: a reboot that the host was told of may happen all the same.
 */
export function powerKinds(app: App): readonly TaskKind<PowerPayload>[] {
  const steps: TaskKind<PowerPayload>['steps'] = {
    ask: { run: ask, undo: takeBack },
    await: { run: (tx, task) => awaitHost(app, tx, task) },
  };
  return ['server.power', 'server.reboot'].map((name) => ({
    name,
    first: 'ask',
    deadline: POWER_TIMEOUT_S,
    uncancellable: null,
    steps,
  }));
}

type PowerTask = Task<PowerPayload>;
type PowerOutcome = Outcome<PowerPayload>;

async function takeLiving(tx: Tx, task: PowerTask): Promise<ServerRow | null> {
  const server = await takeServer(tx, task.object.id);
  return server && server.delete_requested_at === null ? server : null;
}

async function ask(tx: Tx, task: PowerTask): Promise<PowerOutcome> {
  const server = await takeLiving(tx, task);
  if (!server) return { end: 'done' };
  const { action } = task.payload;
  await saveServer(tx, server, {
    ...desired(action, server),
    // an operation that an operator asks for again is a new chance
    failed: action === 'hard-reboot' && server.launched_at !== null ? 0 : server.failed,
    task_state: TASK_STATES[action],
    task_request_id: task.requestId,
  });
  await recordChange(tx, 'server', server.id, task.requestId);
  return { to: 'await' };
}

const TASK_STATES: Readonly<Record<PowerChange, string>> = {
  start: 'powering-on',
  stop: 'powering-off',
  'soft-reboot': 'rebooting',
  'hard-reboot': 'rebooting_hard',
};

function desired(action: PowerChange, server: ServerRow) {
  switch (action) {
    case 'start':
      return { power: 'running' };
    case 'stop':
      return { power: 'stopped' };
    case 'soft-reboot':
      return { soft_reboots: server.soft_reboots + 1 };
    case 'hard-reboot':
      return { power: 'running', hard_reboots: server.hard_reboots + 1 };
  }
}

async function awaitHost(app: App, tx: Tx, task: PowerTask): Promise<PowerOutcome> {
  const server = await takeLiving(tx, task);
  // somebody has ended it otherwise
  if (!server || server.task_state === null) return { end: 'done' };
  const word = await wordOfHost(tx, server);
  if (word.current && word.report?.error) return await onError(tx, server, word);
  if (word.current && isDone(task.payload.action, server.observed_power)) {
    await endAction(tx, server, word.host);
    await saveServer(tx, server, { task_state: null });
    return { end: 'done' };
  }
  if (!task.overdue) return { wait: `${word.host ?? 'a host'} to report it done` };
  return await onOverdue(app, tx, server, word.host);
}

function isDone(action: PowerChange, power: string | null): boolean {
  return action === 'stop' ? power === 'shutdown' || power === 'crashed' : power === 'running';
}

async function onError(tx: Tx, server: ServerRow, word: HostWord): Promise<PowerOutcome> {
  const why = faultFrom(word.report!.error!, word.host);
  await endAction(tx, server, word.host, faultText(why));
  const broken = server.task_state === 'powering-off' ? {} : { failed: 1, fault: JSON.stringify(why) };
  await saveServer(tx, server, { task_state: null, ...broken });
  return { end: 'failed', error: why.message };
}

async function onOverdue(app: App, tx: Tx, server: ServerRow, host: string | null): Promise<PowerOutcome> {
  const up = server.host_id !== null && app.hosts.isUp(server.host_id);
  // the first line is for tenants too
  const why = `The host ${up ? 'is up but has not reported it done' : 'does not answer'}.\nHost: ${host}`;
  await endAction(tx, server, host, why);
  const idle = await saveServer(tx, server, { task_state: null });
  // what is off and was not brought up stays off until it is asked for again: else the next start would change nothing
  if (up && server.task_state !== 'powering-off' && server.launched_at !== null) {
    await settle(tx, idle, server.observed_power);
  }
  return { end: 'failed', error: why };
}

async function takeBack(tx: Tx, task: PowerTask): Promise<undefined> {
  const server = await takeLiving(tx, task);
  if (!server) return;
  await endAction(tx, server, null, task.error ?? 'cancelled');
  await saveServer(tx, server, { power: task.payload.before, task_state: null });
  await recordChange(tx, 'server', server.id, task.requestId);
}
