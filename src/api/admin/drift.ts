import { listDrift } from '../../store/drift.js';
import { listHosts } from '../../store/hosts.js';
import type { Operation } from '../shared/operation.js';
import { hostNamed } from './hosts.js';

const ADMIN = 'rule:context_is_admin';
const MOST_LISTED = 1_000;

/** What others have changed on hosts. */
export const driftOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/drift',
    policy: { name: 'maru:drift:list', rule: ADMIN },
    summary: 'List what was changed on hosts by other hands',
    status: 200,
    query: { type: 'object', properties: { host: { type: 'string' } }, additionalProperties: false },
    handler: async ({ app, query }) => {
      const db = app.store.read;
      const host = query.host ? await hostNamed(app, String(query.host)) : null;
      const names = new Map((await listHosts(db)).map(({ id, name }) => [id, name]));
      const found = await listDrift(db, host?.id ?? null, MOST_LISTED);
      return {
        drift: found.map(({ host_id, ...event }) => ({ host: names.get(host_id) ?? host_id, ...event })),
      };
    },
  },
  {
    method: 'POST',
    path: '/v1/hosts/:host/drift/heal',
    policy: { name: 'maru:drift:heal', rule: ADMIN },
    summary: 'Have a host put one changed object right, whatever the policy says',
    status: 200,
    body: {
      type: 'object',
      required: ['object'],
      properties: {
        object: {
          type: 'string',
          maxLength: 300,
          pattern: '^(network|dhcp|port|security-group|group-members|router|server|volume)/.+$',
        },
      },
      additionalProperties: false,
    },
    handler: async ({ app, params, body }) =>
      await app.hosts.healDrift((await hostNamed(app, params.host!)).id, { object: body.object }),
  },
];
