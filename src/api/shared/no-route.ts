import type { FastifyRequest } from 'fastify';
import type { Problem } from './problem.js';
import type { Service } from './service.js';

/** What answers a request for which the service has no operation: 405 where the path is known and the service says so, else 404. */
export function noRoute(service: Service, request: FastifyRequest): Problem {
  const path = request.url.split('?')[0]!.slice(service.prefix.length);
  const allowed = service.methodNotAllowed ? allowedMethods(service, path) : [];
  const none = { type: 'HTTPNotFound', message: 'The resource could not be found.' };
  if (allowed.length === 0) return { status: 404, code: 'no-route', headers: {}, ...none };
  return {
    status: 405,
    code: 'method-not-allowed',
    message: `The method ${request.method} is not allowed for this resource.`,
    type: undefined,
    headers: { allow: allowed.join(', ') },
  };
}

function allowedMethods(service: Service, path: string): string[] {
  const methods = new Set<string>();
  for (const operation of service.operations) {
    const pattern = operation.path
      .replace(/[.+]/g, '\\$&')
      .replace(/:[A-Za-z_]+/g, '[^/]+')
      .replace(/\*/g, '.*');
    if (new RegExp(`^${pattern}$`).test(path)) methods.add(operation.method);
  }
  return [...methods].sort();
}
