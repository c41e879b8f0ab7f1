import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../../core/app.js';
import type { RequestRecord } from '../../core/audit/record.js';
import type { Context, PolicyTarget } from '../../core/context.js';
import { badRequest, MaruError } from '../../core/errors.js';
import { isStorageFull } from '../../store/storage-full.js';
import { asActor } from '../../store/trail.js';
import { globalIdOf, logRequest, pathOf } from './access-log.js';
import { coveredByRules } from './access-rules.js';
import { beginAudit, endAudit, endAuditRefused, statusOf } from './audit.js';
import { readBody } from './body.js';
import { clientAddressOf } from './client-address.js';
import { ANONYMOUS, createContext } from './context.js';
import { declarePolicies } from './declare.js';
import { atLeast, compareVersions, type MicroversionRange, negotiate, parseVersion } from './microversion.js';
import { noRoute } from './no-route.js';
import type { Microversion, Operation, OpRequest, ServiceName } from './operation.js';
import { type ProblemFormat, toProblem } from './problem.js';
import { errorWithoutSecrets } from './secrets.js';
import { send, sendProblem } from './send.js';
import { judge, type Things } from './target.js';
import { validate } from './validate.js';

/** A policy that counts for some requests of an operation. */
export interface ActionPolicy {
  readonly name: string;
  readonly rule: string;
  readonly use: { readonly method: string; readonly path: string; readonly summary: string };
}

/** One OpenStack service: its operations and the ways in which it differs from the others. */
export interface Service extends Things {
  readonly name: ServiceName;
  /** Mount point, such as `/compute`. */
  readonly prefix: string;
  readonly operations: readonly Operation[];
  readonly microversions?: MicroversionRange;
  readonly format: ProblemFormat;
  /** Headers of every reply besides `x-openstack-request-id`. */
  readonly headers?: (requestId: string, version: Microversion) => Record<string, string>;
  /** Other paths under which an operation answers too (`/v3/volumes` besides `/v3/:project_id/volumes`). */
  readonly aliases?: (path: string) => readonly string[];
  /** Further policy names that handlers check themselves, with their default rules. */
  readonly rules?: Readonly<Record<string, string>>;
  /** Policies of which the body of a request says which one counts, with what they govern. */
  readonly actionPolicies?: readonly ActionPolicy[];
  /**
   * What the rules of every operation are checked against, besides the operation's own target, which goes before it. Absent: a
   * target of the token's own project and user, where neither operation nor `objectTarget` has another.
   */
  readonly baseTarget?: (request: OpRequest) => PolicyTarget;
  /** True: a known path with another verb is 405 with Allow; false: 404. */
  readonly methodNotAllowed?: boolean;
  /** Runs after authentication, before the policy check; may refuse. */
  readonly check?: (request: OpRequest) => void;
}

interface RequestState {
  requestId: string;
  /** The id that the client gave, by which it finds what it did at several services. */
  globalRequestId: string | null;
  /** Where it comes from. */
  address: string;
  version: Microversion;
  ctx: Context;
  /** Null: it only reads. */
  audit: RequestRecord | null;
  started: bigint;
  /** Why it was refused. */
  problem?: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the service's onRequest hook. */
    maru: RequestState;
  }
  interface FastifyContextConfig {
    operation?: Operation;
  }
}

/** Mounts a service: one encapsulated fastify plugin with its own error format. */
export async function mountService(root: FastifyInstance, app: App, service: Service): Promise<void> {
  declarePolicies(app.policy, service);
  const addressOf = clientAddressOf(app.config.trusted_proxies);
  await root.register(
    async (fastify) => {
      fastify.removeAllContentTypeParsers();
      fastify.addContentTypeParser('*', readBody);
      fastify.addHook('onRequest', async (request, reply) => {
        const address = addressOf(request.raw);
        await begin(app, service, request, reply, address);
      });
      fastify.addHook('onResponse', async (request, reply) =>
        logRequest(app.log, service.name, request, reply),
      );
      fastify.setErrorHandler((error, request, reply) => {
        const problem = toProblem(error, request.maru?.requestId ?? '');
        if (request.maru) request.maru.problem = problem.message;
        if (problem.status === 500 || isStorageFull(error)) {
          app.log.error('request failed', {
            request_id: request.maru?.requestId,
            ...globalIdOf(request),
            path: pathOf(request),
            error: errorWithoutSecrets(request, error),
          });
        }
        const refused = sendProblem(service, request, reply, problem);
        if (request.maru?.audit) endAuditRefused(app, request.maru.audit, request, problem, reply.statusCode);
        return refused;
      });
      fastify.setNotFoundHandler((request, reply) =>
        sendProblem(service, request, reply, noRoute(service, request)),
      );
      for (const operation of service.operations) {
        for (const path of [operation.path, ...(service.aliases?.(operation.path) ?? [])]) {
          fastify.route({
            method: operation.method,
            url: path,
            // '' and '/' are declared apart: some services answer them differently
            prefixTrailingSlash: 'slash',
            config: { operation },
            handler: (request, reply) => handle(app, service, operation, request, reply),
          });
        }
      }
    },
    { prefix: service.prefix },
  );
}

/** What OpenStack's services take for the id of a request. */
const REQUEST_ID = /^req-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Request id, microversion and token: everything that can be refused before the body is read. */
async function begin(
  app: App,
  service: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  address: string,
): Promise<void> {
  // never the client's: it could give that of somebody else's request
  const requestId = `req-${randomUUID()}`;
  const given = request.headers['x-openstack-request-id'];
  const globalRequestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : null;
  const state: RequestState = {
    requestId,
    globalRequestId,
    address,
    version: { major: 0, minor: 0 },
    ctx: createContext(app, ANONYMOUS, requestId),
    audit: null,
    started: process.hrtime.bigint(),
  };
  request.maru = state;
  state.audit = beginAudit(app, service.name, request);
  reply.header('x-openstack-request-id', requestId);
  if (request.url.includes('%00')) throw badRequest('The URL contains a NUL character.');
  if (service.microversions) state.version = negotiate(service.microversions, request.headers);
  for (const [name, value] of Object.entries(service.headers?.(requestId, state.version) ?? {}))
    reply.header(name, value);
  const operation = request.routeOptions.config.operation;
  if (!operation) return;
  if (!exists(operation, state.version)) throw new MaruError('not-found', 'The resource could not be found.');
  const token = request.headers['x-auth-token'] ?? bearerToken(request);
  if (typeof token === 'string' && token !== '') {
    const info = await app.auth.authenticate(token);
    if (info) state.audit?.by(info, operation.policy !== null);
    const rules = info?.application_credential?.access_rules;
    if (rules && !coveredByRules(rules, service.name, request.method, pathBelow(service, request))) {
      throw unauthorized();
    }
    if (info) state.ctx = createContext(app, info, requestId, state.audit);
    else if (operation.policy) throw unauthorized();
  } else if (operation.policy) {
    throw unauthorized();
  }
}

async function handle(
  app: App,
  service: Service,
  operation: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { ctx, version } = request.maru;
  let opRequest: OpRequest = {
    app,
    ctx,
    params: request.params as Record<string, string>,
    query: request.query as Record<string, string | string[]>,
    body: request.body,
    version,
    baseUrl: app.config.public_url + service.prefix,
    raw: request,
    reply,
  };
  service.check?.(opRequest);
  if (operation.policy) {
    const name = (await operation.otherPolicy?.(opRequest)) ?? operation.policy.name;
    if (operation.target || service.baseTarget) {
      const target = await operation.target?.(opRequest);
      ctx.authorize(name, service.baseTarget ? { ...service.baseTarget(opRequest), ...target } : target);
    } else {
      opRequest = { ...opRequest, ctx: await judge(service, opRequest, name) };
    }
  }
  if (operation.query) validate(operation.query, request.query);
  const schema = operation.body && bodySchema(operation.body, version);
  if (schema) {
    if (request.body === undefined) throw badRequest('Malformed request body');
    validate(schema, request.body);
  }
  // reads change nothing, and are many
  const { audit } = request.maru;
  if (!audit) return send(operation, reply, await operation.handler(opRequest));
  const { requestId, userId, projectId } = ctx;
  const actor = { requestId, userId, projectId, summary: operation.summary };
  audit.allow();
  const result = await app.audit.serving(audit, () =>
    asActor(actor, async () => await operation.handler(opRequest)),
  );
  await endAudit(app, audit, operation, reply.sent ? reply.statusCode : statusOf(operation, result), result);
  return send(operation, reply, result);
}

function exists(operation: Operation, version: Microversion): boolean {
  if (operation.since && !atLeast(version, operation.since)) return false;
  return !operation.until || compareVersions(version, parseVersion(operation.until)) <= 0;
}

function bodySchema(body: NonNullable<Operation['body']>, version: Microversion) {
  if (!Array.isArray(body)) return body as Record<string, unknown>;
  const versions = body as readonly (readonly [string, Record<string, unknown>])[];
  return versions.findLast(([since]) => atLeast(version, since))?.[1];
}

/** The token of clients that got it by OAuth 2.0. */
function bearerToken({ headers }: FastifyRequest): string | undefined {
  return /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1];
}

function unauthorized(): MaruError {
  return new MaruError('unauthorized', 'The request you have made requires authentication.');
}

function pathBelow(service: Service, request: FastifyRequest): string {
  return request.url.split('?')[0]!.slice(service.prefix.length);
}
