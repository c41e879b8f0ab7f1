import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { App } from '../core/app.js';
import { identityVersion } from './identity/versions.js';
import type { Service } from './shared/service.js';

/**
 * `/`: the versions of identity, so that clients whose auth_url is only the host find their way, and where the other
 * services are. Also answers what is outside of every service.
 */
export function mountRoot(fastify: FastifyInstance, app: App, services: readonly Service[]): void {
  const { public_url } = app.config;
  fastify.get('/', (_request, reply) =>
    reply
      .code(300)
      .header('x-openstack-request-id', `req-${randomUUID()}`)
      .header('location', `${public_url}/identity/v3/`)
      .send({
        versions: { values: [identityVersion(public_url)] },
        services: services.map(({ name, prefix }) => ({
          name,
          links: [{ rel: 'self', href: `${public_url}${prefix}/` }],
        })),
      }),
  );
  fastify.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .header('x-openstack-request-id', `req-${randomUUID()}`)
      .send({ error: { code: 404, title: 'Not Found', message: 'The resource could not be found.' } }),
  );
}
