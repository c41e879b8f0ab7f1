import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Operation, OpReply } from './operation.js';
import type { Problem } from './problem.js';
import type { Service } from './service.js';

/** Answers with what a handler gave, unless that has answered by itself. */
export function send(operation: Operation, reply: FastifyReply, result: unknown): unknown {
  if (reply.sent) return reply;
  if (result instanceof OpReply) {
    reply.code(result.status);
    for (const [name, value] of Object.entries(result.headers)) reply.header(name, value);
    return sendBody(reply, result.body);
  }
  reply.code(operation.status);
  return sendBody(reply, result);
}

/** Answers with a refusal in the service's format. */
export function sendProblem(
  service: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
): FastifyReply {
  const formatted = service.format(problem, request);
  if (!reply.hasHeader('x-openstack-request-id'))
    reply.header('x-openstack-request-id', request.maru?.requestId ?? '');
  for (const [name, value] of Object.entries({ ...problem.headers, ...formatted.headers }))
    reply.header(name, value);
  reply.code(formatted.status ?? problem.status).header('content-type', formatted.contentType);
  return reply.send(typeof formatted.body === 'string' ? formatted.body : JSON.stringify(formatted.body));
}

function sendBody(reply: FastifyReply, body: unknown): unknown {
  if (body === undefined || body === null) {
    if (!reply.hasHeader('content-type')) reply.header('content-type', 'application/json');
    return reply.send();
  }
  if (typeof body === 'string' || body instanceof Uint8Array || isStream(body)) {
    if (!reply.hasHeader('content-type')) reply.header('content-type', 'application/json');
    return reply.send(body);
  }
  return reply.header('content-type', 'application/json').send(JSON.stringify(body));
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'pipe' in body;
}
