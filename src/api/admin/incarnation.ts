import { acceptHosts, beginIncarnation, incarnationStatus } from '../../core/incarnation/incarnation.js';
import type { Operation } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';

/** The state of the database that hosts go by: after a restored backup they only observe until they are accepted. */
export const incarnationOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/incarnation',
    policy: { name: 'maru:incarnation:show', rule: ADMIN },
    summary: 'Show what hosts that only observe would change',
    status: 200,
    handler: async ({ app }) => ({ incarnation: await incarnationStatus(app) }),
  },
  {
    method: 'POST',
    path: '/v1/incarnation',
    policy: { name: 'maru:incarnation:new', rule: ADMIN },
    summary: 'Have all hosts only observe, since the database was restored',
    status: 204,
    body: {
      type: 'object',
      properties: { reason: { type: 'string', minLength: 1, maxLength: 255 } },
      additionalProperties: false,
    },
    handler: async ({ app, body }) =>
      await beginIncarnation(app, body.reason ?? 'an operator asked for it (maru incarnation new)'),
  },
  {
    method: 'POST',
    path: '/v1/incarnation/accept',
    policy: { name: 'maru:incarnation:accept', rule: ADMIN },
    summary: 'Let hosts act on the database again',
    status: 200,
    body: {
      type: 'object',
      properties: {
        hosts: { type: 'array', minItems: 1, maxItems: 10_000, items: { type: 'string', maxLength: 255 } },
        all: { const: true },
      },
      oneOf: [{ required: ['hosts'] }, { required: ['all'] }],
      additionalProperties: false,
    },
    handler: async ({ app, ctx, body }) => ({ accepted: await acceptHosts(app, ctx, body.hosts ?? null) }),
  },
];
