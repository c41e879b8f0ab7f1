import type { Tx } from '../store/store.js';
import type { TaskRow } from '../store/tasks.js';
import { note } from '../store/trail.js';

/** Notes what came of a task's step in the trail of its object; one that only goes on waiting is no news. */
export function noteStep(tx: Tx, before: TaskRow, after: TaskRow): void {
  const same =
    before.step === after.step &&
    before.state === after.state &&
    before.waiting_for === after.waiting_for &&
    before.error === after.error;
  if (same) return;
  note(tx, {
    kind: after.object_kind,
    id: after.object_id,
    what: 'task',
    detail: `${after.kind}: ${words(before, after)}`,
    requestId: after.request_id,
  });
}

function words(before: TaskRow, after: TaskRow): string {
  const error = after.error === null ? '' : ` (${after.error})`;
  if (after.finished_at !== null) return `${before.step}, ${after.state}${error}`;
  if (after.state === 'undoing') return `undoes ${after.step}${error}`;
  if (after.step !== before.step) return `${before.step} → ${after.step}${error}`;
  return after.waiting_for === null
    ? `${after.step}${error}`
    : `${after.step} waits for ${after.waiting_for}${error}`;
}
