import { cancelTask, listTasks, retryTask, showTask } from '../../core/task/task.js';
import type { Operation } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';

export const taskOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/tasks',
    policy: { name: 'maru:tasks:list', rule: ADMIN },
    summary: 'List what is under way, and what ended lately',
    status: 200,
    query: {
      type: 'object',
      properties: { all: { enum: ['true', 'false'] } },
      additionalProperties: false,
    },
    handler: async ({ app, query }) => ({ tasks: await listTasks(app, query.all === 'true') }),
  },
  {
    method: 'GET',
    path: '/v1/tasks/:task',
    policy: { name: 'maru:tasks:show', rule: ADMIN },
    summary: 'Show a task',
    status: 200,
    handler: async ({ app, params }) => ({ task: await showTask(app, params.task!) }),
  },
  {
    method: 'POST',
    path: '/v1/tasks/:task/retry',
    policy: { name: 'maru:tasks:retry', rule: ADMIN },
    summary: 'Let a task go on now, or begin a failed one anew',
    status: 200,
    handler: async ({ app, params }) => ({ task: await retryTask(app, params.task!) }),
  },
  {
    method: 'POST',
    path: '/v1/tasks/:task/cancel',
    policy: { name: 'maru:tasks:cancel', rule: ADMIN },
    summary: 'Undo a task',
    status: 200,
    handler: async ({ app, params }) => ({ task: await cancelTask(app, params.task!) }),
  },
];
