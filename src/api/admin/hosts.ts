import type { App } from '../../core/app.js';
import { notFound } from '../../core/errors.js';
import { orphansOf } from '../../core/host/orphans.js';
import { removeHost } from '../../core/host/remove.js';
import { findHost, findHostByName, type HostRow, listHosts, updateHost } from '../../store/hosts.js';
import { hostLoads } from '../../store/overview.js';
import { findFaults } from '../../store/reports.js';
import { recordChange } from '../../store/store.js';
import type { Operation } from '../shared/operation.js';
import { certificateView, type HostPresence, hostDetail, hostSummary } from './views.js';

const ADMIN = 'rule:context_is_admin';

export const hostOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/hosts',
    policy: { name: 'maru:hosts:list', rule: ADMIN },
    summary: 'List hosts',
    status: 200,
    handler: async ({ app }) => {
      const loads = await hostLoads(app.store.read);
      const hosts = await listHosts(app.store.read);
      return { hosts: hosts.map((h) => hostSummary(h, loads.get(h.id), presenceOf(app, h.id))) };
    },
  },
  {
    method: 'POST',
    path: '/v1/hosts/tokens',
    policy: { name: 'maru:hosts:create_token', rule: ADMIN },
    summary: 'Make a one-time join token',
    status: 201,
    body: {
      type: 'object',
      properties: {
        host_name: {
          type: 'string',
          minLength: 1,
          maxLength: 63,
          pattern: '^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$',
        },
        ttl: { type: 'integer', minimum: 60, maximum: 7 * 86_400 },
      },
      additionalProperties: false,
    },
    handler: async ({ app, body }) =>
      await app.hosts.createJoinToken({ hostName: body.host_name ?? null, ttlSeconds: body.ttl ?? 3600 }),
  },
  {
    method: 'GET',
    path: '/v1/hosts/:host',
    policy: { name: 'maru:hosts:show', rule: ADMIN },
    summary: 'Show a host',
    status: 200,
    handler: async ({ app, params }) => {
      const host = await hostNamed(app, params.host!);
      const load = (await hostLoads(app.store.read)).get(host.id);
      const faults = await findFaults(app.store.read, host.id);
      const [orphans, { phase, hosts }] = [await orphansOf(app, host), await app.hosts.authority.status()];
      const certificate = hosts.find((one) => one.name === host.name);
      const fault = app.hosts.deliveryFault(host.id);
      return {
        host: {
          ...hostDetail(host, load, presenceOf(app, host.id), faults, orphans),
          delivery_fault: fault,
          certificate: certificateView(certificate, phase),
        },
      };
    },
  },
  {
    method: 'GET',
    path: '/v1/hosts/:host/plan',
    policy: { name: 'maru:hosts:plan', rule: ADMIN },
    summary: 'Show what the host would change now',
    status: 200,
    handler: async ({ app, params }) => ({
      plan: await app.hosts.plan((await hostNamed(app, params.host!)).id),
    }),
  },
  {
    method: 'GET',
    path: '/v1/hosts/:host/doctor',
    policy: { name: 'maru:hosts:doctor', rule: ADMIN },
    summary: 'Show what is wrong with the machine of a host, and what mends it',
    status: 200,
    handler: async ({ app, params }) => ({
      doctor: await app.hosts.doctor((await hostNamed(app, params.host!)).id),
    }),
  },
  {
    method: 'DELETE',
    path: '/v1/hosts/:host',
    policy: { name: 'maru:hosts:remove', rule: ADMIN },
    summary: 'Remove a host; with force also one that is lost with what is on it',
    status: 200,
    query: {
      type: 'object',
      properties: { force: { enum: ['true', 'false'] } },
      additionalProperties: false,
    },
    handler: async ({ app, ctx, params, query }) => ({
      removal: await removeHost(app, ctx, await hostNamed(app, params.host!), query.force === 'true'),
    }),
  },
  ...(['enable', 'disable'] as const).map(
    (action): Operation => ({
      method: 'POST',
      path: `/v1/hosts/:host/${action}`,
      policy: { name: `maru:hosts:${action}`, rule: ADMIN },
      summary: `${action === 'enable' ? 'Give a host servers again' : 'Give a host no new servers'}`,
      status: 204,
      body: {
        type: 'object',
        properties: { reason: { type: ['string', 'null'], maxLength: 255 } },
        additionalProperties: false,
      },
      handler: async ({ app, params, body, ctx }) => {
        const host = await hostNamed(app, params.host!);
        const enabled = action === 'enable';
        await app.store.tx(async (tx) => {
          await updateHost(tx, host.id, {
            enabled: enabled ? 1 : 0,
            disabled_reason: enabled ? null : (body.reason ?? null),
          });
          await recordChange(tx, 'host', host.id, ctx.requestId);
        });
      },
    }),
  ),
];

/** What is known of a host's presence now. */
export function presenceOf(app: App, hostId: string): HostPresence {
  return { up: app.hosts.isUp(hostId), silence: app.hosts.silence(hostId) };
}

/** A host by name or id; 404 when there is none. */
export async function hostNamed(app: App, nameOrId: string): Promise<HostRow> {
  const host = (await findHostByName(app.store.read, nameOrId)) ?? (await findHost(app.store.read, nameOrId));
  if (!host) throw notFound(`There is no host '${nameOrId}'; maru host list shows them.`);
  return host;
}
