import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict } from '../errors.js';
import { ownServer } from './find.js';
import { beginAction } from './history.js';
import { checkLegal } from './legal.js';
import type { PowerChange, PowerPayload } from './tasks/power.js';

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

async function change(app: App, ctx: Context, id: string, action: PowerChange): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    checkLegal(ctx, server, action);
    // its build goes on, or it has no host: there is nothing to switch yet
    if (server.launched_at === null && (await app.tasks.isActive(tx, { kind: 'server', id }))) {
      throw conflict(`Instance ${id} is not ready`);
    }
    if (server.host_id === null) throw conflict(`Instance ${id} is not ready`);
    const reboot = action.endsWith('reboot');
    await beginAction(tx, ctx, server, reboot ? 'reboot' : action);
    await app.tasks.start(tx, {
      kind: reboot ? 'server.reboot' : 'server.power',
      object: { kind: 'server', id },
      payload: { action, before: server.power } satisfies PowerPayload,
      projectId: server.project_id,
      requestId: ctx.requestId,
      supersedes: `${action} was asked for`,
    });
  });
}
