import type { ServerExplanation } from '../core/server/explain.js';

/** What an operator wants to know first of a server: how it is, why, and what to do. One to three lines. */
export function headline(explained: ServerExplanation): string[] {
  const { name, id, status, host, fault, task, owed, wants, observed } = explained;
  if (wants.startsWith('nothing')) {
    if (owed.length === 0) return [`${name} is gone, and nobody owes it anything.`];
    return [`${name} is gone for its owner; ${owed[0]}.`, ...advice('maru status', 'maru task list')];
  }
  const failed = task !== null && task.finished_at === null && task.error !== null ? task.error : null;
  if (status.startsWith('ERROR')) {
    const why = firstLine(fault) ?? failed ?? 'no reason is kept';
    const next =
      host === null
        ? [
            'make room, or mend what keeps hosts from taking it (below); its owner then deletes it and makes another',
          ]
        : [`maru server trail ${id}`, `maru doctor ${host}`];
    return [`${name} is in ERROR: ${why}`, ...advice(...next)];
  }
  if (task !== null && task.finished_at === null) {
    const waits = task.waiting_for ? `, waits for ${task.waiting_for}` : '';
    const overdue = task.deadline !== null && Date.parse(task.deadline) < Date.now();
    const late = overdue ? `, overdue since ${task.deadline}` : '';
    const first = `${name} is ${status}: ${task.kind} is at step ${task.step}${waits}${late}`;
    if (failed === null && !overdue) return [`${first}.`];
    return [
      failed === null ? `${first}.` : `${first}; its last attempt failed: ${firstLine(failed)}`,
      ...advice(
        `maru task show ${task.id}`,
        `maru task retry ${task.id}`,
        ...(host ? [`maru doctor ${host}`] : []),
      ),
    ];
  }
  const where = host === null ? 'on no host' : `on ${host}`;
  const bad = observed !== null && /^\S+ (error|held)\b/.test(observed) ? observed : null;
  if (bad !== null) {
    return [
      `${name} is ${status} ${where}, but ${firstLine(bad)}`,
      ...advice(...(host ? [`maru host show ${host}`, `maru doctor ${host}`] : ['maru status'])),
    ];
  }
  return [`${name} is ${status} ${where}; nothing is under way with it.`];
}

function advice(...commands: readonly string[]): string[] {
  return [`→ ${commands.join('; ')}`];
}

function firstLine(text: string | null): string | null {
  return text === null ? null : (text.split('\n')[0] ?? null);
}
