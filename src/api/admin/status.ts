import { explainServer } from '../../core/server/explain.js';
import { cloudStatus } from '../../core/status/status.js';
import type { Operation } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';

export const statusOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/status',
    policy: { name: 'maru:status', rule: ADMIN },
    summary: 'Show what is wrong, and what there is',
    status: 200,
    handler: async ({ app }) => ({ status: await cloudStatus(app) }),
  },
  {
    method: 'GET',
    path: '/v1/servers/:server/explain',
    policy: { name: 'maru:servers:explain', rule: ADMIN },
    summary: 'Explain where a server is and why',
    status: 200,
    handler: async ({ app, params }) => ({ explanation: await explainServer(app, params.server!) }),
  },
];
