import { mustGet } from '../../core/identity/rows.js';
import { isPrivileged } from '../../core/role/privileged.js';
import { reachableProjects } from '../../core/token/reachable.js';
import { changePassword } from '../../core/user/own-password.js';
import { createUser, deleteUser, type UserBody, updateUser } from '../../core/user/user.js';
import type { ProjectRow } from '../../store/identity/projects.js';
import { groupIdsOf, groups, users } from '../../store/identity/users.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters, inexact, inexactFilters, page, pagedCollection } from './lists.js';
import { passwordExpiry } from './password-expiry.js';
import { bodyDomain, confined, domainManager, domainReader, listTarget, policy } from './policy.js';
import { BOOLEAN, enveloped, ID, ID_OR_NULL, NAME, TEXT_OR_NULL } from './schemas.js';
import { groupView, projectView, userView } from './views.js';

const FLAG_OR_NULL = { type: ['boolean', 'null'] };
/** Null takes an option away. */
const USER_OPTIONS = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ignore_change_password_upon_first_use: FLAG_OR_NULL,
    ignore_password_expiry: FLAG_OR_NULL,
    ignore_lockout_failure_attempts: FLAG_OR_NULL,
    lock_password: FLAG_OR_NULL,
    ignore_user_inactivity: FLAG_OR_NULL,
    multi_factor_auth_enabled: FLAG_OR_NULL,
    multi_factor_auth_rules: {
      type: ['array', 'null'],
      uniqueItems: true,
      maxItems: 50,
      items: {
        type: 'array',
        minItems: 1,
        maxItems: 10,
        uniqueItems: true,
        items: { type: 'string', minLength: 1, maxLength: 64 },
      },
    },
  },
};
const PROPERTIES = {
  name: NAME,
  domain_id: ID,
  enabled: BOOLEAN,
  password: { ...TEXT_OR_NULL, maxLength: 4096 },
  default_project_id: ID_OR_NULL,
  description: TEXT_OR_NULL,
  email: TEXT_OR_NULL,
  options: USER_OPTIONS,
};
const PASSWORDS = enveloped(
  'user',
  {
    password: { type: 'string', minLength: 1, maxLength: 4096 },
    original_password: { type: 'string', maxLength: 4096 },
  },
  ['password', 'original_password'],
);
const SELF = 'user_id:%(target.user.id)s';
const READ = `${domainReader('target.user.domain_id')} or ${SELF}`;

const CHANGE = domainManager('target.user.domain_id', 'rule:domain_managed_target_user');

type Body = { user: UserBody };

/** Users. */
export const userOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/users',
    policy: policy('create_user', domainManager('target.user.domain_id')),
    target: (request) => ({ 'target.user.domain_id': bodyDomain(request, 'user') }),
    summary: 'create a user',
    body: enveloped('user', PROPERTIES, ['name']),
    status: 201,
    async handler(request: OpRequest<Body>) {
      const row = await createUser(request.app, request.ctx, request.body.user);
      return { user: userView(request.baseUrl, row) };
    },
  },
  {
    method: 'GET',
    path: '/v3/users',
    policy: policy('list_users', domainReader('target.domain_id')),
    target: listTarget,
    summary: 'list users',
    status: 200,
    async handler(request) {
      const filters = columnFilters(request, {
        text: ['name', 'domain_id', 'default_project_id'],
        flags: ['enabled'],
      });
      const wanted = confined(request, filters);
      const inexact = inexactFilters(request, ['name', 'domain_id']);
      const compared = passwordExpiry(request);
      const found = await page(request, users, ['name', 'domain_id', 'default_project_id'], (options) =>
        users.list(request.app.store.read, wanted, { ...options, inexact, compared }),
      );
      return pagedCollection(
        request,
        'users',
        found,
        found.rows.map((row) => userView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/users/:user_id',
    policy: policy('get_user', READ),
    target: userTarget,
    summary: 'show a user',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return { user: userView(baseUrl, await mustGet(users, app.store.read, params.user_id!, 'user')) };
    },
  },
  {
    method: 'PATCH',
    path: '/v3/users/:user_id',
    policy: policy('update_user', CHANGE),
    target: changedUserTarget,
    summary: 'change a user',
    body: enveloped('user', PROPERTIES),
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<Body>) {
      return { user: userView(baseUrl, await updateUser(app, params.user_id!, body.user)) };
    },
  },
  {
    method: 'DELETE',
    path: '/v3/users/:user_id',
    policy: policy('delete_user', CHANGE),
    target: changedUserTarget,
    summary: 'delete a user',
    status: 204,
    handler: ({ app, params }) => deleteUser(app, params.user_id!),
  },
  {
    method: 'POST',
    path: '/v3/users/:user_id/password',
    policy: null,
    audit: { action: 'identity:change_password' },
    summary: 'replace one’s own password',
    body: PASSWORDS,
    status: 204,
    handler: ({
      app,
      params,
      body,
      raw,
    }: OpRequest<{ user: { password: string; original_password: string } }>) =>
      changePassword(
        app,
        params.user_id!,
        { original: body.user.original_password, next: body.user.password },
        raw.maru.address,
      ),
  },
  {
    method: 'GET',
    path: '/v3/users/:user_id/groups',
    policy: policy('list_groups_for_user', READ),
    target: userTarget,
    summary: 'list the groups of a user',
    status: 200,
    async handler(request) {
      const db = request.app.store.read;
      const user = await mustGet(users, db, request.params.user_id!, 'user');
      const filters = columnFilters(request, { text: ['name'] });
      const rows = await groups.list(db, { ...filters, id: await groupIdsOf(db, user.id) });
      return collection(
        request,
        'groups',
        inexact(request, rows, ['name']).map((row) => groupView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/users/:user_id/projects',
    policy: policy('list_user_projects', READ),
    target: userTarget,
    summary: 'list the projects on which a user has a role',
    status: 200,
    async handler(request) {
      const db = request.app.store.read;
      const user = await mustGet(users, db, request.params.user_id!, 'user');
      const filters = Object.entries(
        columnFilters(request, { text: ['name', 'domain_id'], flags: ['enabled'] }),
      );
      const matches = (row: ProjectRow) =>
        filters.every(([column, value]) => row[column as 'name' | 'domain_id' | 'enabled'] === value);
      const found = await reachableProjects(db, user.id);
      return collection(
        request,
        'projects',
        found
          .filter(({ row }) => matches(row))
          .map(({ row, tags }) => projectView(request.baseUrl, row, tags)),
      );
    },
  },
];

/** What policies about one user see of it. Whether it exists is found out after the check. */
export async function userTarget({ app, params }: OpRequest) {
  const row = await users.get(app.store.read, params.user_id!);
  return { 'target.user.id': row?.id ?? '', 'target.user.domain_id': row?.domain_id ?? '' };
}

/** For changes: also whether the user may do more than a manager of the domain can grant. */
async function changedUserTarget(request: OpRequest) {
  const { app, params } = request;
  return {
    ...(await userTarget(request)),
    'target.user.privileged': await isPrivileged(app.store.read, 'user', params.user_id!),
  };
}
