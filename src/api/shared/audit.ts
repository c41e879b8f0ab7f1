import type { FastifyRequest } from 'fastify';
import type { App } from '../../core/app.js';
import { claimedUser } from '../../core/audit/claim.js';
import type { RequestRecord } from '../../core/audit/record.js';
import { pathOf } from './access-log.js';
import { bodyOf, severalOfAnswer, targetOfAnswer, targetOfPath } from './audit-target.js';
import { type Operation, OpReply, type ServiceName } from './operation.js';
import type { Problem } from './problem.js';
import { withoutSecretsOf } from './secrets.js';

/** Ids of what one request has made; more are only counted. */
const MOST_IDS = 50;
/** Statuses of answers that show what was made: Created, Accepted, Multi-Status. */
const MAKING: ReadonlySet<number> = new Set([201, 202, 207]);

/** Begins the record of a request; null for one that changes nothing, whatever comes of it. */
export function beginAudit(app: App, service: ServiceName, request: FastifyRequest): RequestRecord | null {
  const { operation } = request.routeOptions.config;
  if (!operation || !isRecorded(operation)) return null;
  const record = app.audit.begin({
    service,
    action: actionOf(service, operation),
    method: request.method,
    path: pathOf(request),
    requestId: request.maru.requestId,
    globalRequestId: request.maru.globalRequestId,
    address: request.maru.address,
    login: typeof operation.audit === 'object' && operation.audit.login === true,
  });
  record.presume(targetOfPath(operation, request.params as Record<string, string>));
  return record;
}

/** Ends the record of a request that is about to be answered with what its handler gave. */
export async function endAudit(
  app: App,
  record: RequestRecord,
  operation: Operation,
  status: number,
  result: unknown,
): Promise<void> {
  if (record.login) await noteToken(app, record, result);
  else record.found(targetOfAnswer(operation, record.presumed, result));
  // an answer with 200 shows what there is, which need not be what was made
  const ids = operation.method === 'POST' && MAKING.has(status) ? severalOfAnswer(result) : [];
  if (ids.length > 0) record.note({ detail: { ids: ids.slice(0, MOST_IDS), count: ids.length } });
  record.answered(status, null);
  await app.audit.end(record);
}

/** Ends the record of a request that is refused or has failed. */
export function endAuditRefused(
  app: App,
  record: RequestRecord,
  request: FastifyRequest,
  problem: Problem,
  status: number,
): void {
  // what is wrong with a body may quote it
  record.answered(status, status === 400 ? null : withoutSecretsOf(request, problem.message));
  if (record.login) record.claim = claimedUser(request.body);
  // what is left is stored later; it fails only when the database does, which is logged then
  void app.audit.end(record).catch(() => {});
}

export function statusOf(operation: Operation, result: unknown): number {
  return result instanceof OpReply ? result.status : operation.status;
}

/** Who has got a token, and for what. */
async function noteToken(app: App, record: RequestRecord, result: unknown): Promise<void> {
  const header = result instanceof OpReply ? result.headers['x-subject-token'] : undefined;
  const text = header ?? bodyOf(result).access_token;
  const token = typeof text === 'string' ? await app.identity.tokens.validate(text) : null;
  if (token) record.issued(token.info);
}

function isRecorded({ method, audit }: Operation): boolean {
  return method !== 'GET' && method !== 'HEAD' && audit !== 'none';
}

/** What operations without a policy and an action of their own are called says at least which they are. */
function actionOf(service: ServiceName, { audit, policy, method, path }: Operation): string {
  const own = typeof audit === 'object' ? audit.action : undefined;
  return own ?? policy?.name ?? `${service}:${method} ${path}`;
}
