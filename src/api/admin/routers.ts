import { moveRouter, routerPlace, routerPlaces } from '../../core/router/overview.js';
import type { Operation } from '../shared/operation.js';

const ADMIN = 'rule:context_is_admin';

export const routerOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/routers',
    policy: { name: 'maru:routers:list', rule: ADMIN },
    summary: 'List routers with the hosts that they are on',
    status: 200,
    handler: async ({ app }) => ({ routers: await routerPlaces(app) }),
  },
  {
    method: 'GET',
    path: '/v1/routers/:router',
    policy: { name: 'maru:routers:show', rule: ADMIN },
    summary: 'Show where a router is',
    status: 200,
    handler: async ({ app, params }) => ({ router: await routerPlace(app, params.router!) }),
  },
  {
    method: 'POST',
    path: '/v1/routers/:router/move',
    policy: { name: 'maru:routers:move', rule: ADMIN },
    summary: 'Move a router to another host',
    status: 202,
    body: {
      type: 'object',
      properties: { host: { type: ['string', 'null'], minLength: 1, maxLength: 255 } },
      additionalProperties: false,
    },
    handler: async ({ app, ctx, params, body }) => {
      await moveRouter(app, ctx, params.router!, body.host ?? null);
      return { router: await routerPlace(app, params.router!) };
    },
  },
];
