import { recordChange } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { ownServer } from './find.js';
import { beginAction } from './history.js';
import { checkLegal } from './legal.js';
import { saveServer } from './save.js';

/** Seconds that a host has for a change of power before the task is given up. */
const POWER_TIMEOUT_S = 120;

export async function startServer(app: App, ctx: Context, id: string): Promise<void> {
  await change(app, ctx, id, 'start');
}

/** Asks the guest to shut down; the host pulls the plug when it does not. */
export async function stopServer(app: App, ctx: Context, id: string): Promise<void> {
  await change(app, ctx, id, 'stop');
}

/** soft: the guest is asked to reboot; hard: it is reset, whatever it is doing. */
export async function rebootServer(app: App, ctx: Context, id: string, type: 'soft' | 'hard'): Promise<void> {
  await change(app, ctx, id, `${type}-reboot`);
}

type PowerChange = 'start' | 'stop' | 'soft-reboot' | 'hard-reboot';

async function change(app: App, ctx: Context, id: string, action: PowerChange): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    checkLegal(ctx, server, action);
    await beginAction(tx, ctx, server, action.endsWith('reboot') ? 'reboot' : action);
    await saveServer(tx, server, {
      ...desired(action, server),
      // an operation that an operator asks for again is a new chance
      failed: action === 'hard-reboot' && server.launched_at !== null ? 0 : server.failed,
      task_state: TASKS[action],
      task_request_id: ctx.requestId,
      task_deadline: new Date(Date.now() + POWER_TIMEOUT_S * 1000).toISOString(),
    });
    await recordChange(tx, 'server', id, ctx.requestId);
  });
}

const TASKS: Readonly<Record<PowerChange, string>> = {
  start: 'powering-on',
  stop: 'powering-off',
  'soft-reboot': 'rebooting',
  'hard-reboot': 'rebooting_hard',
};

function desired(action: PowerChange, server: { soft_reboots: number; hard_reboots: number }) {
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
