import type { FastifyReply, FastifyRequest } from 'fastify';
import { MASK } from '../../protocol/config/secrets.js';
import type { Logger } from '../../protocol/log.js';
import type { ServiceName } from './operation.js';
import { withoutSecretsOf } from './secrets.js';

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
  const { requestId, ctx, started, problem, address } = request.maru ?? {};
  const { operation } = request.routeOptions.config;
  log[level]('request', {
    request_id: requestId,
    ...globalIdOf(request),
    service,
    method: request.method,
    path: pathOf(request),
    ...resourceOf(operation?.path, request.params as Record<string, string>),
    status,
    // what is wrong with a body may quote it
    ...(problem && status !== 400 ? { reason: withoutSecretsOf(request, problem) } : {}),
    ms: started === undefined ? null : Number((process.hrtime.bigint() - started) / 1_000_000n),
    ...(address === undefined ? {} : { address }),
    ...(ctx?.projectId ? { project_id: ctx.projectId } : {}),
    ...(ctx?.userId ? { user_id: ctx.userId } : {}),
  });
}

/** The id that the client gave its request, if it did, as a field of lines about it. */
export function globalIdOf({ maru }: FastifyRequest): { global_request_id?: string } {
  return maru?.globalRequestId ? { global_request_id: maru.globalRequestId } : {};
}

/**
 * The path as it may be logged: without the query, without tokens, which nobody has reason to put into it, and no longer than any real
 * one: the sender chooses it, with no token needed.
 */
export function pathOf({ url, headers }: FastifyRequest): string {
  let path = url.split('?', 1)[0]!;
  for (const name of ['x-auth-token', 'x-subject-token']) {
    const token = headers[name];
    if (typeof token === 'string' && token !== '' && path.includes(token))
      path = path.replaceAll(token, MASK);
  }
  if (path.length > SHORTEST_TOKEN) path = path.replaceAll(TOKEN, MASK);
  return path.length > LONGEST_PATH ? `${path.slice(0, LONGEST_PATH)}…` : path;
}

/** Tokens are longer than ids and names are. */
const SHORTEST_TOKEN = 80;
const TOKEN = /(?<=\/)[\w-]{80,}/g;
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
