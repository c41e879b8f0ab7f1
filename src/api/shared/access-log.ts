import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../protocol/log.js';
import type { ServiceName } from './operation.js';

/**
 * One line for each request: at info what changes something, at debug what only reads. Neither query nor body nor headers are in
 * it: they may hold what nobody else should know.
 */
export function logRequest(
  log: Logger,
  service: ServiceName,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { statusCode: status } = reply;
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const level = status >= 500 ? 'warn' : reads ? 'debug' : 'info';
  const { requestId, ctx, started, problem } = request.maru ?? {};
  const { operation } = request.routeOptions.config;
  log[level]('request', {
    request_id: requestId,
    service,
    method: request.method,
    path: pathOf(request.url),
    ...resourceOf(operation?.path, request.params as Record<string, string>),
    status,
    // what is wrong with a body may quote it
    ...(problem && status !== 400 ? { reason: problem } : {}),
    ms: started === undefined ? null : Number((process.hrtime.bigint() - started) / 1_000_000n),
    ...(ctx?.projectId ? { project_id: ctx.projectId } : {}),
    ...(ctx?.userId ? { user_id: ctx.userId } : {}),
  });
}

/** Without the query, and no longer than any real one: the sender chooses it, with no token needed. */
function pathOf(url: string): string {
  const path = url.split('?', 1)[0]!;
  return path.length > LONGEST_PATH ? `${path.slice(0, LONGEST_PATH)}…` : path;
}

const LONGEST_PATH = 1_000;

/** `servers/ID` of `/v2.1/servers/:id/action`: the last thing that the path names. */
function resourceOf(
  pattern: string | undefined,
  params: Readonly<Record<string, string>>,
): { resource?: string } {
  const found = [...(pattern ?? '').matchAll(/\/([^/:]+)\/:([A-Za-z_]+)/g)].at(-1);
  const id = found && params?.[found[2]!];
  return found && id ? { resource: `${found[1]}/${id}` } : {};
}
