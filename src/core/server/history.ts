import { finishServerAction, insertServerAction } from '../../store/compute/action.js';
import type { ServerRow } from '../../store/compute/server.js';
import { nowText, type Tx } from '../../store/store.js';
import { note } from '../../store/trail.js';
import type { Context } from '../context.js';

/** What Nova calls the step that a host carries out for an action. */
const EVENTS: Readonly<Record<string, string>> = {
  create: 'compute__do_build_and_run_instance',
  delete: 'compute_terminate_instance',
  start: 'compute_start_instance',
  stop: 'compute_stop_instance',
  reboot: 'compute_reboot_instance',
  lock: 'api_lock',
  unlock: 'api_unlock',
};

/** Writes to a server's history that an action began; `done`: and ended at once. */
export async function beginAction(
  tx: Tx,
  ctx: Context,
  server: Pick<ServerRow, 'id'>,
  action: string,
  done = false,
): Promise<void> {
  const now = nowText();
  note(tx, { kind: 'server', id: server.id, what: 'action', detail: action, requestId: ctx.requestId });
  await insertServerAction(tx, {
    request_id: ctx.requestId,
    server_id: server.id,
    action,
    user_id: ctx.userId,
    project_id: ctx.projectId,
    start_time: now,
    updated_at: now,
    finish_time: done ? now : null,
    message: null,
    event: EVENTS[action] ?? `compute_${action}`,
    host: null,
    result: done ? 'Success' : null,
    details: null,
  });
}

/** Writes how the action under way ended; nothing when none is. */
export async function endAction(
  tx: Tx,
  server: Pick<ServerRow, 'id' | 'task_request_id'>,
  host: string | null,
  error: string | null = null,
): Promise<void> {
  if (server.task_request_id === null) return;
  const now = nowText();
  note(tx, {
    kind: 'server',
    id: server.id,
    what: 'ended',
    detail: error === null ? 'done' : `failed: ${error}`,
    requestId: server.task_request_id,
  });
  await finishServerAction(tx, server.id, server.task_request_id, {
    finish_time: now,
    updated_at: now,
    message: error === null ? null : 'Error',
    result: error === null ? 'Success' : 'Error',
    details: error,
    host,
  });
}
