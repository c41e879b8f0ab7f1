import { badRequest } from '../../core/errors.js';
import {
  createServerGroup,
  deleteServerGroup,
  visibleServerGroup,
} from '../../core/server-group/server-group.js';
import { groupMembers, listGroups, type ServerGroupRow } from '../../store/compute/group.js';
import { atLeast } from '../shared/microversion.js';
import type { Operation, OpRequest, Schema } from '../shared/operation.js';
import { lastValue } from '../shared/query.js';
import { MAX_LIMIT } from './paging.js';
import { MEMBER, policy, READER } from './policy.js';
import { envelope, integer, NAME, object } from './schemas.js';

const POLICIES = ['affinity', 'anti-affinity'];
const SOFT = ['soft-anti-affinity', 'soft-affinity'];

interface GroupBody {
  server_group: {
    name: string;
    policies?: string[];
    policy?: string;
    rules?: { max_server_per_host?: number | string };
  };
}

/** Groups of servers that are to share a host, or not to. */
export const serverGroupOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-server-groups',
    policy: policy('os-server-groups:index', READER),
    summary: 'List server groups',
    status: 200,
    handler: list,
  },
  {
    method: 'POST',
    path: '/v2.1/os-server-groups',
    policy: policy('os-server-groups:create', MEMBER),
    summary: 'Create a server group',
    body: [
      ['2.1', withPolicies(POLICIES)],
      ['2.15', withPolicies([...POLICIES, ...SOFT])],
      [
        '2.64',
        envelope(
          'server_group',
          object(
            {
              name: NAME,
              policy: { type: 'string', enum: [...POLICIES, ...SOFT] },
              rules: object({ max_server_per_host: integer(1) }),
            },
            ['name', 'policy'],
          ),
        ),
      ],
    ],
    status: 200,
    handler: create,
  },
  {
    method: 'GET',
    path: '/v2.1/os-server-groups/:id',
    policy: policy('os-server-groups:show', READER),
    summary: 'Show a server group',
    status: 200,
    handler: async (request) => {
      const { app, ctx, params } = request;
      const group = await visibleServerGroup(app.store.read, ctx, params.id!);
      return { server_group: (await show(request, [group]))[0] };
    },
  },
  {
    method: 'DELETE',
    path: '/v2.1/os-server-groups/:id',
    policy: policy('os-server-groups:delete', MEMBER),
    summary: 'Delete a server group',
    status: 204,
    handler: ({ app, ctx, params }) => deleteServerGroup(app, ctx, params.id!),
  },
];

function withPolicies(policies: readonly string[]): Schema {
  const list = { type: 'array', items: { type: 'string', enum: policies }, minItems: 1, maxItems: 1 };
  return envelope('server_group', object({ name: NAME, policies: list }, ['name', 'policies']));
}

async function create(request: OpRequest<GroupBody>) {
  const { app, ctx, body } = request;
  const { name, policies, policy: one, rules } = body.server_group;
  const chosen = one ?? policies?.[0] ?? '';
  const most = rules?.max_server_per_host;
  if (most !== undefined && chosen !== 'anti-affinity') {
    throw badRequest('Only anti-affinity policy supports rules.');
  }
  const group = await createServerGroup(app, ctx, {
    name,
    policy: chosen,
    rules: most === undefined ? {} : { max_server_per_host: Number(most) },
  });
  return { server_group: (await show(request, [group]))[0] };
}

async function list(request: OpRequest) {
  const { app, ctx, query } = request;
  const number = (key: string, usual: number) => {
    const text = lastValue(query[key]);
    if (text === undefined) return usual;
    if (!/^\d+$/.test(text)) {
      throw badRequest(
        `Invalid input for query parameters ${key}. Value: ${text}. '${text}' does not match '^[0-9]*$'`,
      );
    }
    return Number(text);
  };
  const page = { limit: Math.min(number('limit', MAX_LIMIT), MAX_LIMIT), offset: number('offset', 0) };
  const everybody =
    query.all_projects !== undefined && ctx.allows('os_compute_api:os-server-groups:index:all_projects');
  const groups = await listGroups(app.store.read, everybody ? null : ctx.projectId, page);
  return { server_groups: await show(request, groups) };
}

async function show({ app, version }: OpRequest, groups: readonly ServerGroupRow[]) {
  const members = await groupMembers(
    app.store.read,
    groups.map(({ id }) => id),
  );
  return groups.map((group) => ({
    id: group.id,
    name: group.name,
    members: members.get(group.id),
    ...(atLeast(version, '2.64')
      ? { policy: group.policy, rules: JSON.parse(group.rules) }
      : { policies: [group.policy], metadata: {} }),
    ...(atLeast(version, '2.13') ? { project_id: group.project_id, user_id: group.user_id } : {}),
  }));
}
