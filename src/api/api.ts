import Fastify, { type FastifyInstance } from 'fastify';
import type { App } from '../core/app.js';
import { mountRoot } from './root.js';
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
    ...tlsOptions(app.config),
  }) as unknown as FastifyInstance;
  mountRoot(fastify, app, services);
  for (const service of services) await mountService(fastify, app, service);
  return fastify;
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
