import { hostNames } from '../../store/compute/hosts.js';
import { overdueServers, type ServerRow, takeServer } from '../../store/compute/server.js';
import { nowText, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { forgetOnDownHosts } from './delete.js';
import type { ServerFault } from './facts.js';
import { endAction } from './history.js';
import { onFailedBuild, settle } from './report.js';
import { saveServer } from './save.js';

/**
 * Ends what took longer than it may: nothing stays in BUILD, or on its way out, for ever. Run periodically; safe at any time, also
 * by several controllers.
 */
export async function sweepServers(app: App): Promise<void> {
  for (const { id } of await overdueServers(app.store.read, nowText())) {
    await app.store.tx(async (tx) => {
      const server = await takeServer(tx, id);
      if (server?.task_deadline && server.task_deadline < nowText()) await giveUp(app, tx, server);
    });
  }
  await forgetOnDownHosts(app);
}

async function giveUp(app: App, tx: Tx, server: ServerRow): Promise<void> {
  const host = server.host_id ? ((await hostNames(tx)).get(server.host_id) ?? null) : null;
  const up = server.host_id !== null && app.hosts.isUp(server.host_id);
  const state = up ? 'is up but has not reported it done' : 'does not answer';
  if (server.launched_at === null && server.host_id !== null) {
    await onFailedBuild(app, tx, server, host, buildFault(app, server, host, state), 'final');
    return;
  }
  await endAction(tx, server, host, `Host ${host} ${state}.`);
  const idle = await saveServer(tx, server, { task_state: null, task_deadline: null });
  // what is off and was not brought up stays off until it is asked for again: else the next start would change nothing
  if (up && server.task_state !== 'powering-off' && server.launched_at !== null) {
    await settle(tx, idle, server.observed_power);
  }
}

/** What the host last said went wrong; without a word of it, that it took too long. */
function buildFault(app: App, server: ServerRow, host: string | null, state: string): ServerFault {
  if (server.fault !== null) return JSON.parse(server.fault) as ServerFault;
  return {
    code: 500,
    message: `Build of instance ${server.id} did not succeed within ${app.config.build_timeout} seconds.`,
    details: `Host ${host} ${state}. maru plan ${host} shows what is left to do there.`,
    created: nowText(),
  };
}
