import {
  addUserToGroup,
  createGroup,
  deleteGroup,
  type GroupBody,
  removeUserFromGroup,
  updateGroup,
} from '../../core/group/group.js';
import { missing, mustGet } from '../../core/identity/rows.js';
import { isPrivileged } from '../../core/role/privileged.js';
import { groups, memberIdsOf, users } from '../../store/identity/users.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters, inexactFilters, page, pagedCollection } from './lists.js';
import { passwordExpiry } from './password-expiry.js';
import { ANY_ADMIN, bodyDomain, confined, domainManager, domainReader, policy } from './policy.js';
import { refuseOtherId } from './same-id.js';
import { enveloped, ID, NAME, TEXT_OR_NULL } from './schemas.js';
import { groupView, userView } from './views.js';

const PROPERTIES = { name: { ...NAME, maxLength: 64 }, domain_id: ID, description: TEXT_OR_NULL };
const READ = domainReader('target.group.domain_id');
const CHANGE = domainManager('target.group.domain_id', 'rule:domain_managed_target_group');
const SAME_DOMAIN = 'domain_id:%(target.user.domain_id)s';
const CHECK_MEMBER = `${ANY_ADMIN} or rule:system_reader or (role:reader and domain_id:%(target.group.domain_id)s and ${SAME_DOMAIN})`;
const CHANGE_MEMBER = domainManager(
  'target.group.domain_id',
  `${SAME_DOMAIN} and rule:domain_managed_target_group`,
);
const MEMBER = '/v3/groups/:group_id/users/:user_id';

type Body = { group: GroupBody };

/** Groups of users. */
export const groupOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/groups',
    policy: policy('create_group', domainManager('target.group.domain_id')),
    target: (request) => ({ 'target.group.domain_id': bodyDomain(request, 'group') }),
    summary: 'create a group',
    body: enveloped('group', PROPERTIES, ['name']),
    status: 201,
    async handler({ app, ctx, body, baseUrl }: OpRequest<Body>) {
      return { group: groupView(baseUrl, await createGroup(app, ctx, body.group)) };
    },
  },
  {
    method: 'GET',
    path: '/v3/groups',
    policy: policy('list_groups', READ),
    target: ({ ctx }) => ({ 'target.group.domain_id': ctx.token.domain?.id ?? '' }),
    summary: 'list groups',
    status: 200,
    async handler(request) {
      const db = request.app.store.read;
      const filters = confined(request, columnFilters(request, { text: ['name', 'domain_id'] }));
      const inexact = inexactFilters(request, ['name', 'domain_id']);
      const found = await page(request, groups, ['name', 'domain_id', 'description'], (options) =>
        groups.list(db, filters, { ...options, inexact }),
      );
      return pagedCollection(
        request,
        'groups',
        found,
        found.rows.map((row) => groupView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: '/v3/groups/:group_id',
    policy: policy('get_group', READ),
    target: groupTarget,
    summary: 'show a group',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return { group: groupView(baseUrl, await mustGet(groups, app.store.read, params.group_id!, 'group')) };
    },
  },
  {
    method: 'PATCH',
    path: '/v3/groups/:group_id',
    policy: policy('update_group', CHANGE),
    target: changedGroupTarget,
    summary: 'change a group',
    body: enveloped('group', PROPERTIES),
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<Body>) {
      refuseOtherId(body.group, params.group_id!);
      return { group: groupView(baseUrl, await updateGroup(app, params.group_id!, body.group)) };
    },
  },
  {
    method: 'DELETE',
    path: '/v3/groups/:group_id',
    policy: policy('delete_group', CHANGE),
    target: changedGroupTarget,
    summary: 'delete a group',
    status: 204,
    handler: ({ app, params }) => deleteGroup(app, params.group_id!),
  },
  {
    method: 'GET',
    path: '/v3/groups/:group_id/users',
    policy: policy('list_users_in_group', READ),
    target: groupTarget,
    summary: 'list the users of a group',
    status: 200,
    async handler(request) {
      const db = request.app.store.read;
      const group = await mustGet(groups, db, request.params.group_id!, 'group');
      const filters = confined(
        request,
        columnFilters(request, { text: ['name', 'domain_id'], flags: ['enabled'] }),
      );
      const rows = await users.list(
        db,
        { ...filters, id: await memberIdsOf(db, group.id) },
        { inexact: inexactFilters(request, ['name']), compared: passwordExpiry(request) },
      );
      return collection(
        request,
        'users',
        rows.map((row) => userView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'PUT',
    path: MEMBER,
    policy: policy('add_user_to_group', CHANGE_MEMBER),
    target: memberTarget,
    summary: 'add a user to a group',
    status: 204,
    handler: ({ app, params }) => addUserToGroup(app, params.group_id!, params.user_id!),
  },
  ...(['HEAD', 'GET'] as const).map(
    (method): Operation => ({
      method,
      path: MEMBER,
      policy: policy('check_user_in_group', CHECK_MEMBER),
      target: memberTarget,
      summary: 'check whether a user is in a group',
      status: 204,
      async handler({ app, params }) {
        const db = app.store.read;
        const group = await mustGet(groups, db, params.group_id!, 'group');
        const members = await memberIdsOf(db, group.id);
        if (!members.includes(params.user_id!)) throw missing(`user in group ${group.id}`, params.user_id!);
      },
    }),
  ),
  {
    method: 'DELETE',
    path: MEMBER,
    policy: policy('remove_user_from_group', CHANGE_MEMBER),
    target: memberTarget,
    summary: 'remove a user from a group',
    status: 204,
    handler: ({ app, params }) => removeUserFromGroup(app, params.group_id!, params.user_id!),
  },
];

async function groupTarget({ app, params }: OpRequest) {
  const row = await groups.get(app.store.read, params.group_id!);
  return { 'target.group.domain_id': row?.domain_id ?? '' };
}

/** For changes: also whether the group may do more than a manager can grant. */
async function changedGroupTarget(request: OpRequest) {
  const { app, params } = request;
  return {
    ...(await groupTarget(request)),
    'target.group.privileged': await isPrivileged(app.store.read, 'group', params.group_id!),
  };
}

async function memberTarget(request: OpRequest) {
  const { app, params } = request;
  const user = await users.get(app.store.read, params.user_id!);
  return { ...(await changedGroupTarget(request)), 'target.user.domain_id': user?.domain_id ?? '' };
}
