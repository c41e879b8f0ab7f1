import { renderCatalog } from '../../core/catalog/render.js';
import { MaruError, notFound } from '../../core/errors.js';
import type { AuthRequest } from '../../core/token/authenticate.js';
import { reachableDomains, reachableProjects } from '../../core/token/reachable.js';
import type { ValidToken } from '../../core/token/service.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { collection, flag } from './lists.js';
import { authenticateRequest } from './receipts.js';
import { AUTH } from './schemas.js';
import { domainView, projectView } from './views.js';

const SUBJECT_HEADERS = { vary: 'X-Auth-Token' };

const VALIDATE = {
  name: 'identity:validate_token',
  rule: 'rule:admin_required or rule:system_reader or role:service or rule:token_subject',
};
const CHECK = { ...VALIDATE, name: 'identity:check_token' };
const REVOKE = { name: 'identity:revoke_token', rule: 'rule:admin_required or rule:token_subject' };

/** Any valid token will do. */
const ANY_TOKEN = '@';

/** Authentication, and what a token lets its holder reach. */
export const tokenOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/auth/tokens',
    policy: null,
    audit: { action: 'identity:authenticate', login: true },
    summary: 'issue a token',
    body: AUTH,
    status: 201,
    async handler(request: OpRequest<{ auth: AuthRequest }>) {
      const token = await authenticateRequest(request);
      return token instanceof OpReply ? token : await reply(201, request, token);
    },
  },
  {
    method: 'GET',
    path: '/v3/auth/tokens',
    policy: VALIDATE,
    target: subjectTarget,
    summary: 'validate a token',
    status: 200,
    handler: async (request) => await reply(200, request, await subject(request, mayBeExpired(request))),
  },
  {
    method: 'HEAD',
    path: '/v3/auth/tokens',
    policy: CHECK,
    target: subjectTarget,
    summary: 'check a token',
    status: 200,
    handler: async (request) => await reply(200, request, await subject(request, mayBeExpired(request))),
  },
  {
    method: 'DELETE',
    path: '/v3/auth/tokens',
    policy: REVOKE,
    target: subjectTarget,
    summary: 'revoke a token',
    status: 204,
    handler: async (request) => await request.app.identity.tokens.revokeToken(await subject(request)),
  },
  {
    method: 'GET',
    path: '/v3/auth/catalog',
    policy: { name: 'identity:get_auth_catalog', rule: ANY_TOKEN },
    summary: 'show the catalogue of a token',
    status: 200,
    async handler(request) {
      const { app, ctx } = request;
      if (!ctx.token.project && !ctx.token.domain && !ctx.token.system) {
        throw new MaruError('forbidden', 'No service catalog for an unscoped token.');
      }
      const values = { projectId: ctx.projectId || null, userId: ctx.userId };
      return collection(request, 'catalog', await renderCatalog(app.store.read, values));
    },
  },
  {
    method: 'GET',
    path: '/v3/auth/projects',
    policy: { name: 'identity:get_auth_projects', rule: ANY_TOKEN },
    summary: 'list projects that the caller may scope to',
    status: 200,
    async handler(request) {
      const found = await reachableProjects(request.app.store.read, request.ctx.userId);
      return collection(
        request,
        'projects',
        found.map(({ row, tags }) => projectView(request.baseUrl, row, tags)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/auth/domains',
    policy: { name: 'identity:get_auth_domains', rule: ANY_TOKEN },
    summary: 'list domains that the caller may scope to',
    status: 200,
    async handler(request) {
      const found = await reachableDomains(request.app.store.read, request.ctx.userId);
      return collection(
        request,
        'domains',
        found.map(({ row, tags }) => domainView(request.baseUrl, row, tags)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/auth/system',
    policy: { name: 'identity:get_auth_system', rule: ANY_TOKEN },
    summary: 'list system scopes of the caller',
    status: 200,
    async handler(request) {
      const { app, ctx, baseUrl } = request;
      const reachable = await app.identity.tokens.hasSystemRole(ctx.userId);
      return { system: reachable ? [{ all: true }] : [], links: { self: `${baseUrl}/v3/auth/system` } };
    },
  },
];

async function reply(status: number, request: OpRequest, token: ValidToken): Promise<OpReply> {
  const body = await request.app.identity.tokens.body(token, { catalog: !('nocatalog' in request.query) });
  return new OpReply(status, body, { ...SUBJECT_HEADERS, 'x-subject-token': token.text });
}

/** The token that a request is about; 404 when it is not good. */
async function subject({ app, raw }: OpRequest, expired = false): Promise<ValidToken> {
  const text = raw.headers['x-subject-token'];
  if (typeof text !== 'string' || text === '') {
    throw new MaruError('bad-request', 'The header X-Subject-Token is missing.');
  }
  const { tokens } = app.identity;
  const token = (await tokens.validate(text)) ?? (expired ? await tokens.validateExpired(text) : null);
  if (!token) throw notFound('Could not find token.');
  return token;
}

async function subjectTarget(request: OpRequest) {
  const token = await subject(request, request.raw.method !== 'DELETE' && mayBeExpired(request));
  return { 'target.token.user_id': token.payload.userId };
}

/** Services may look at a token that has expired meanwhile, to finish what it began. */
function mayBeExpired(request: OpRequest): boolean {
  return flag(request, 'allow_expired') ?? false;
}
