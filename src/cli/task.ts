import type { Command } from 'commander';
import type { TaskDetail, TaskView } from '../core/task/task.js';
import { Client } from './client.js';
import { ago, printFields, printJson, printTable } from './output.js';

/** `maru task …`: what is under way, who does it, until when, and what it waits for. */
export function addTaskCommands(program: Command): void {
  const task = program.command('task').description('Show, retry and cancel what is under way');
  task
    .command('list')
    .description('List what is under way: builds, changes of power, deletions …')
    .option('--all', 'also what ended: successes of the last day, failures of the last week')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru task list\n  maru task list --all')
    .action(async ({ all, json }: { all?: boolean; json?: boolean }) => {
      const path = `/maru/v1/tasks${all ? '?all=true' : ''}`;
      const { tasks } = await new Client().get<{ tasks: TaskView[] }>(path);
      if (json) return printJson(tasks);
      printTable(
        ['id', 'kind', 'object', 'step', 'state', 'since', 'deadline', 'waits for'],
        tasks.map((t) => [
          t.id,
          t.kind,
          t.object,
          t.step,
          t.state,
          ago(t.updated_at),
          inTime(t.deadline),
          t.finished_at === null ? (t.waiting_for ?? `controller ${t.owner ?? '(any)'}`) : (t.error ?? ''),
        ]),
      );
    });
  task
    .command('show <id>')
    .description('Show one task: its steps, who runs it, its deadline and its next attempt')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru task show 8d1e0f77-…')
    .action(async (id: string, { json }: { json?: boolean }) => {
      const found = await new Client().get<{ task: TaskDetail }>(`/maru/v1/tasks/${encodeURIComponent(id)}`);
      if (json) return printJson(found.task);
      printTask(found.task);
    });
  const verbs = [
    ['retry', 'Let a waiting task go on now, or begin a failed or cancelled one anew'],
    ['cancel', 'Undo a task; a cancelled build leaves its server in ERROR, without a guest'],
  ] as const;
  for (const [verb, description] of verbs) {
    task
      .command(`${verb} <id>`)
      .description(description)
      .option('--json', 'print JSON')
      .addHelpText('after', `\nExamples:\n  maru task ${verb} 8d1e0f77-…`)
      .action(async (id: string, { json }: { json?: boolean }) => {
        const path = `/maru/v1/tasks/${encodeURIComponent(id)}/${verb}`;
        const { task: found } = await new Client().request<{ task: TaskDetail }>('POST', path);
        if (json) return printJson(found);
        printTask(found);
      });
  }
}

/** The lines that say what is the matter with a task; also for what a task works on. */
export function taskLines(task: TaskView): string[] {
  const ended = task.finished_at !== null;
  return [
    `${task.kind}, step ${task.step}, ${task.state} since ${task.finished_at ?? task.updated_at} (task ${task.id})`,
    ...(task.waiting_for && !ended ? [`waits for ${task.waiting_for}`] : []),
    ...(task.owner ? [`run by controller ${task.owner}, lease until ${task.lease_until}`] : []),
    ...(ended ? [] : [`deadline ${task.deadline ?? 'none'}, next look ${task.next_run_at ?? 'on news'}`]),
    ...(task.error ? [`error: ${task.error}`] : []),
  ];
}

function printTask(task: TaskDetail): void {
  printFields([
    ['id', task.id],
    ['kind', task.kind],
    ['object', task.object],
    ['state', task.state],
    ['step', task.step],
    ['steps', task.steps.map((s) => `${s.taken ? '✓' : '·'} ${s.name}${s.undo ? ' (has an undo)' : ''}`)],
    ['waits for', task.waiting_for],
    ['controller', task.owner ? `${task.owner}, lease until ${task.lease_until}` : null],
    ['attempts', task.attempts],
    ['next look', task.finished_at ? null : (task.next_run_at ?? 'on news')],
    ['deadline', task.deadline],
    ['error', task.error],
    ['cancel', task.uncancellable ? `not possible: ${task.uncancellable}` : `maru task cancel ${task.id}`],
    ['request', task.request_id],
    ['created', task.created_at],
    ['finished', task.finished_at],
  ]);
}

/** `in 4 min`, `overdue for 3 s`; `-` without a time. */
function inTime(time: string | null): string {
  if (time === null) return '-';
  const seconds = Math.round((Date.parse(time) - Date.now()) / 1000);
  const size = Math.abs(seconds);
  const text =
    size < 120 ? `${size} s` : size < 7200 ? `${Math.round(size / 60)} min` : `${Math.round(size / 3600)} h`;
  return seconds < 0 ? `overdue for ${text}` : `in ${text}`;
}
