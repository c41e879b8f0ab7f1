import { missing, mustGet } from '../../core/identity/rows.js';
import {
  authorizeRequestToken,
  createAccessToken,
  createRequestToken,
  deleteAccessToken,
  getAccessToken,
  type MadeToken,
  refuseDelegated,
} from '../../core/oauth/tokens.js';
import { type AccessTokenRow, accessTokens } from '../../store/identity/oauth.js';
import { roles } from '../../store/identity/roles.js';
import { users } from '../../store/identity/users.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { collection } from './lists.js';
import { oauthRequest } from './oauth-request.js';
import { ADMIN, policy } from './policy.js';
import { roleView } from './views.js';

const TOKENS = '/v3/users/:user_id/OS-OAUTH1/access_tokens';
const TOKEN = `${TOKENS}/:access_token_id`;
const ROLE = {
  type: 'object',
  properties: { id: { type: 'string', minLength: 1 }, name: { type: 'string', minLength: 1 } },
  minProperties: 1,
  maxProperties: 1,
  additionalProperties: false,
};

interface Authorization {
  readonly roles?: readonly { readonly id?: string; readonly name?: string }[];
}

/** OAuth 1.0a: how a consumer gets an access token, and the access tokens of users. */
export const oauthTokenOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/OS-OAUTH1/request_token',
    policy: null,
    audit: { action: 'identity:create_request_token' },
    summary: 'create an OAuth1 request token',
    status: 201,
    async handler(request) {
      const project = request.raw.headers['requested-project-id'];
      const projectId = typeof project === 'string' && project !== '' ? project : undefined;
      return formReply(await createRequestToken(request.app, oauthRequest(request), projectId));
    },
  },
  {
    method: 'PUT',
    path: '/v3/OS-OAUTH1/authorize/:request_token_id',
    policy: policy('authorize_request_token', ADMIN),
    summary: 'authorize an OAuth1 request token',
    body: { type: 'object', properties: { roles: { type: 'array', maxItems: 50, items: ROLE } } },
    status: 200,
    async handler({ app, ctx, params, body }: OpRequest<Authorization>) {
      const verifier = await authorizeRequestToken(app, ctx, params.request_token_id!, body.roles ?? []);
      return { token: { oauth_verifier: verifier } };
    },
  },
  {
    method: 'POST',
    path: '/v3/OS-OAUTH1/access_token',
    policy: null,
    audit: { action: 'identity:create_access_token' },
    summary: 'exchange an OAuth1 request token for an access token',
    status: 201,
    handler: async (request) => formReply(await createAccessToken(request.app, oauthRequest(request))),
  },
  {
    method: 'GET',
    path: TOKENS,
    policy: policy('list_access_tokens', ADMIN),
    target: ownerTarget,
    summary: 'list the OAuth1 access tokens of a user',
    status: 200,
    async handler(request) {
      const { app, ctx, params, baseUrl } = request;
      refuseDelegated(ctx);
      await mustGet(users, app.store.read, params.user_id!, 'user');
      const rows = await accessTokens.list(app.store.read, { user_id: params.user_id! });
      return collection(
        request,
        'access_tokens',
        rows.map((row) => view(baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: TOKEN,
    policy: policy('get_access_token', ADMIN),
    target: ownerTarget,
    summary: 'show an OAuth1 access token of a user',
    status: 200,
    async handler(request) {
      refuseDelegated(request.ctx);
      return { access_token: view(request.baseUrl, await tokenOf(request)) };
    },
  },
  {
    method: 'DELETE',
    path: TOKEN,
    policy: policy('delete_access_token', ADMIN),
    target: ownerTarget,
    summary: 'delete an OAuth1 access token of a user',
    status: 204,
    handler: ({ app, ctx, params }) => deleteAccessToken(app, ctx, params.user_id!, params.access_token_id!),
  },
  {
    method: 'GET',
    path: `${TOKEN}/roles`,
    policy: policy('list_access_token_roles', ADMIN),
    target: ownerTarget,
    summary: 'list the roles of an OAuth1 access token',
    status: 200,
    async handler(request) {
      const rows = await rolesOf(request);
      return collection(
        request,
        'roles',
        rows.map((row) => roleView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: `${TOKEN}/roles/:role_id`,
    policy: policy('get_access_token_role', ADMIN),
    target: ownerTarget,
    summary: 'show a role of an OAuth1 access token',
    status: 200,
    async handler(request) {
      const role = (await rolesOf(request)).find((row) => row.id === request.params.role_id);
      if (!role) throw missing('role', request.params.role_id!);
      return { role: roleView(request.baseUrl, role) };
    },
  },
];

/** Rules may compare the caller with the user of the path. */
function ownerTarget({ params }: OpRequest) {
  return { user_id: params.user_id!, 'target.user.id': params.user_id! };
}

/** A new token as OAuth answers it: a form, the only place where the secret is. */
function formReply({ id, secret, expiresAt }: MadeToken): OpReply {
  const form = new URLSearchParams({ oauth_token: id, oauth_token_secret: secret });
  const expiry = expiresAt === null ? '' : `&oauth_expires_at=${expiresAt}`;
  return new OpReply(201, form.toString() + expiry, { 'content-type': 'application/x-www-form-urlencoded' });
}

async function tokenOf({ app, params }: OpRequest): Promise<AccessTokenRow> {
  return await getAccessToken(app.store.read, params.user_id!, params.access_token_id!);
}

async function rolesOf(request: OpRequest) {
  const row = await tokenOf(request);
  return await roles.list(request.app.store.read, { id: JSON.parse(row.roles) as string[] });
}

function view(base: string, row: AccessTokenRow) {
  const self = `${base}/v3/users/${row.user_id}/OS-OAUTH1/access_tokens/${row.id}`;
  return {
    id: row.id,
    consumer_id: row.consumer_id,
    authorizing_user_id: row.user_id,
    project_id: row.project_id,
    expires_at: row.expires_at,
    links: { self, roles: `${self}/roles` },
  };
}
