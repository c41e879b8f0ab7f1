import {
  type ApplicationCredentialBody,
  createApplicationCredential,
  deleteAccessRule,
  deleteApplicationCredential,
  getAccessRule,
  getApplicationCredential,
} from '../../core/application-credential/application-credential.js';
import { refuseTrustOrOauth } from '../../core/token/guards.js';
import {
  type ApplicationCredentialRow,
  accessRules,
  applicationCredentials,
} from '../../store/identity/delegations.js';
import { roles } from '../../store/identity/roles.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters } from './lists.js';
import { ADMIN, ADMIN_OR_READER, policy } from './policy.js';
import { BOOLEAN, enveloped, NAME, TEXT_OR_NULL } from './schemas.js';
import { userTarget } from './users.js';
import { accessRuleView, applicationCredentialView } from './views.js';

const CREDENTIALS = '/v3/users/:user_id/application_credentials';
const RULES = '/v3/users/:user_id/access_rules';
const OWNER = 'user_id:%(target.user.id)s';
const READ = `${ADMIN_OR_READER} or ${OWNER}`;
const REMOVE = `${ADMIN} or ${OWNER}`;

const RULE = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    service: { type: 'string', minLength: 1, maxLength: 64 },
    method: { type: 'string', pattern: '^(GET|HEAD|POST|PUT|PATCH|DELETE)$' },
    // few `**`, since each multiplies the time that matching takes
    path: { type: 'string', pattern: '^/(?!(.*\\*\\*){3})', maxLength: 225 },
  },
  additionalProperties: false,
};
const BODY = enveloped(
  'application_credential',
  {
    name: NAME,
    description: TEXT_OR_NULL,
    secret: { type: ['string', 'null'], minLength: 1, maxLength: 1024 },
    expires_at: TEXT_OR_NULL,
    roles: {
      type: 'array',
      maxItems: 50,
      items: { type: 'object', properties: { id: { type: 'string' }, name: { type: 'string' } } },
    },
    unrestricted: BOOLEAN,
    access_rules: { type: 'array', maxItems: 100, items: RULE },
  },
  ['name'],
);

/** Application credentials of a user, and the access rules that they may be confined to. */
export const applicationCredentialOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: CREDENTIALS,
    policy: policy('create_application_credential', OWNER),
    target: userTarget,
    summary: 'create an application credential',
    body: BODY,
    status: 201,
    async handler(request: OpRequest<{ application_credential: ApplicationCredentialBody }>) {
      const { app, ctx, body } = request;
      const { row, secret } = await createApplicationCredential(app, ctx, body.application_credential);
      return { application_credential: { ...(await view(request, row)), secret } };
    },
  },
  {
    method: 'GET',
    path: CREDENTIALS,
    policy: policy('list_application_credentials', READ),
    target: userTarget,
    summary: 'list the application credentials of a user',
    status: 200,
    async handler(request) {
      refuseTrustOrOauth(request.ctx, 'application credentials');
      const filters = columnFilters(request, { text: ['name'] });
      const rows = await applicationCredentials.list(request.app.store.read, {
        ...filters,
        user_id: request.params.user_id!,
      });
      return collection(request, 'application_credentials', await views(request, rows));
    },
  },
  {
    method: 'GET',
    path: `${CREDENTIALS}/:id`,
    policy: policy('get_application_credential', READ),
    target: userTarget,
    summary: 'show an application credential',
    status: 200,
    async handler(request) {
      const { app, ctx, params } = request;
      refuseTrustOrOauth(ctx, 'application credentials');
      const row = await getApplicationCredential(app.store.read, params.user_id!, params.id!);
      return { application_credential: await view(request, row) };
    },
  },
  {
    method: 'DELETE',
    path: `${CREDENTIALS}/:id`,
    policy: policy('delete_application_credential', REMOVE),
    target: userTarget,
    summary: 'delete an application credential',
    status: 204,
    handler: ({ app, ctx, params }) => deleteApplicationCredential(app, ctx, params.user_id!, params.id!),
  },
  {
    method: 'GET',
    path: RULES,
    policy: policy('list_access_rules', READ),
    target: userTarget,
    summary: 'list the access rules of a user',
    status: 200,
    async handler(request) {
      refuseTrustOrOauth(request.ctx, 'application credentials');
      const filters = columnFilters(request, { text: ['service', 'method', 'path'] });
      const rows = await accessRules.list(request.app.store.read, {
        ...filters,
        user_id: request.params.user_id!,
      });
      return collection(
        request,
        'access_rules',
        rows.map((row) => accessRuleView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: `${RULES}/:id`,
    policy: policy('get_access_rule', READ),
    target: userTarget,
    summary: 'show an access rule',
    status: 200,
    async handler({ app, ctx, params, baseUrl }) {
      refuseTrustOrOauth(ctx, 'application credentials');
      const row = await getAccessRule(app.store.read, params.user_id!, params.id!);
      return { access_rule: accessRuleView(baseUrl, row) };
    },
  },
  {
    method: 'DELETE',
    path: `${RULES}/:id`,
    policy: policy('delete_access_rule', REMOVE),
    target: userTarget,
    summary: 'delete an access rule that nothing uses',
    status: 204,
    handler: ({ app, ctx, params }) => deleteAccessRule(app, ctx, params.user_id!, params.id!),
  },
];

async function view(request: OpRequest, row: ApplicationCredentialRow) {
  return (await views(request, [row]))[0]!;
}

/** Each with its roles and rules, which are read for all of them at once. */
async function views({ app, baseUrl }: OpRequest, rows: readonly ApplicationCredentialRow[]) {
  const db = app.store.read;
  const wanted = rows.map((row) => ({
    row,
    roleIds: JSON.parse(row.roles) as string[],
    ruleIds: JSON.parse(row.access_rules ?? '[]') as string[],
  }));
  const everyRole = await roles.list(db, { id: [...new Set(wanted.flatMap(({ roleIds }) => roleIds))] });
  const everyRule = await accessRules.list(db, {
    id: [...new Set(wanted.flatMap(({ ruleIds }) => ruleIds))],
  });
  return wanted.map(({ row, roleIds, ruleIds }) =>
    applicationCredentialView(
      baseUrl,
      row,
      everyRole.filter(({ id }) => roleIds.includes(id)),
      everyRule.filter(({ id }) => ruleIds.includes(id)),
    ),
  );
}
