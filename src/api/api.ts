import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { App } from '../core/app.js';
import { mountRoot } from './root.js';
import { toProblem } from './shared/problem.js';
import { mountService, type Service } from './shared/service.js';
import { tlsOptions } from './tls.js';

/**
 * The whole HTTP API: every given service mounted under its prefix, and `/` for discovery. Nothing listens yet:
 * tests use `inject`, the controller gives it a socket.
 */
export async function createApi(app: App, services: readonly Service[]): Promise<FastifyInstance> {
  const fastify = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 512, querystringParser: parseQuery },
    // image uploads take as long as they take; other bodies have a time of their own (readBody)
    requestTimeout: 0,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    forceCloseConnections: true,
    // paths that cannot be decoded, before any route is looked for
    frameworkErrors: (error, request, reply) =>
      refuseUrl(services, error, request as FastifyRequest, reply as unknown as FastifyReply),
    ...tlsOptions(app.config),
  }) as unknown as FastifyInstance;
  mountRoot(fastify, app, services);
  for (const service of services) await mountService(fastify, app, service);
  return fastify;
}

/** Refuses, in its service's format, what no route can be looked for. */
function refuseUrl(
  services: readonly Service[],
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const service = services.find(({ prefix }) => request.url.startsWith(`${prefix}/`));
  const refused = toProblem(error, '');
  const message = refused.status === 400 ? 'The URL cannot be decoded.' : 'A part of the URL is too long.';
  const body = { error: { code: refused.status, title: 'Bad Request', message } };
  const formatted = service?.format({ ...refused, message }, request) ?? {
    body,
    contentType: 'application/json',
  };
  void reply
    .code(formatted.status ?? refused.status)
    .headers({ 'x-openstack-request-id': `req-${randomUUID()}`, ...formatted.headers })
    .header('content-type', formatted.contentType)
    .send(typeof formatted.body === 'string' ? formatted.body : JSON.stringify(formatted.body));
}

/** A query string as an object; a key given twice holds a list of its values. */
function parseQuery(text: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null);
  for (const [key, value] of new URLSearchParams(text)) {
    const before = query[key];
    query[key] = before === undefined ? value : [before, value].flat();
  }
  return query;
}
