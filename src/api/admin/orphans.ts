import { orphansOf, removeOrphan } from '../../core/host/orphans.js';
import { listHosts } from '../../store/hosts.js';
import type { Operation } from '../shared/operation.js';
import { hostNamed } from './hosts.js';

const ADMIN = 'rule:context_is_admin';

/** What hosts have and nothing names. */
export const orphanOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/orphans',
    policy: { name: 'maru:orphans:list', rule: ADMIN },
    summary: 'List what hosts have that no object names',
    status: 200,
    query: { type: 'object', properties: { host: { type: 'string' } }, additionalProperties: false },
    handler: async ({ app, query }) => {
      const hosts = query.host ? [await hostNamed(app, String(query.host))] : await listHosts(app.store.read);
      return { orphans: (await Promise.all(hosts.map((host) => orphansOf(app, host)))).flat() };
    },
  },
  {
    method: 'POST',
    path: '/v1/hosts/:host/orphans/remove',
    policy: { name: 'maru:orphans:remove', rule: ADMIN },
    summary: 'Have a host remove one orphan',
    status: 204,
    body: {
      type: 'object',
      required: ['kind', 'name'],
      properties: {
        kind: { type: 'string', minLength: 1, maxLength: 64 },
        name: { type: 'string', minLength: 1, maxLength: 255 },
        destroy_data: { type: 'boolean' },
      },
      additionalProperties: false,
    },
    handler: async ({ app, ctx, params, body }) => {
      const { kind, name, destroy_data = false } = body;
      await removeOrphan(app, ctx, await hostNamed(app, params.host!), { kind, name, destroy_data });
    },
  },
];
