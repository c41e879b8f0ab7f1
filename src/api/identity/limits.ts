import {
  createLimits,
  deleteLimit,
  type LimitBody,
  modelOf,
  mustGetLimit,
  updateLimit,
} from '../../core/limit/limit.js';
import { getLimit, type LimitRow, listLimits } from '../../store/identity/limits.js';
import { projects } from '../../store/identity/projects.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters, inexactFilters } from './lists.js';
import { ADMIN, ANY_ADMIN, ANYBODY, policy } from './policy.js';
import {
  enveloped,
  envelopedList,
  ID,
  ID_OR_NULL,
  LIMIT_VALUE,
  NAME,
  REGION_OR_NULL,
  SHORT_TEXT_OR_NULL,
} from './schemas.js';
import { limitView } from './views.js';

const PATH = '/v3/limits/:limit_id';
const FILTERS = ['service_id', 'region_id', 'resource_name', 'project_id', 'domain_id'] as const;
const CHANGEABLE = { resource_limit: LIMIT_VALUE, description: SHORT_TEXT_OR_NULL };
const READ =
  `${ANY_ADMIN} or rule:system_reader or domain_id:%(target.limit.domain.id)s or ` +
  'domain_id:%(target.limit.project.domain_id)s or project_id:%(target.limit.project_id)s';

/** What projects and domains are limited to instead of the registered limits. Services enforce them, if they do. */
export const limitOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v3/limits/model',
    policy: policy('get_limit_model', ANYBODY),
    summary: 'show how limits in a hierarchy relate',
    status: 200,
    handler({ app }) {
      const { name, description } = modelOf(app);
      return { model: { name, description } };
    },
  },
  {
    method: 'POST',
    path: '/v3/limits',
    policy: policy('create_limits', ADMIN),
    summary: 'create limits',
    body: {
      ...envelopedList(
        'limits',
        {
          project_id: ID_OR_NULL,
          domain_id: ID_OR_NULL,
          service_id: ID,
          region_id: REGION_OR_NULL,
          resource_name: NAME,
          ...CHANGEABLE,
        },
        ['service_id', 'resource_name', 'resource_limit'],
        { oneOf: [{ required: ['project_id'] }, { required: ['domain_id'] }] },
      ),
    },
    status: 201,
    async handler({ app, body, baseUrl }: OpRequest<{ limits: LimitBody[] }>) {
      const rows = await createLimits(app, body.limits);
      return { limits: rows.map((row) => limitView(baseUrl, row)) };
    },
  },
  {
    method: 'GET',
    path: '/v3/limits',
    policy: policy('list_limits', ANYBODY),
    summary: 'list limits',
    status: 200,
    async handler(request) {
      const rows = await visibleLimits(request);
      return collection(
        request,
        'limits',
        rows.map((row) => limitView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: PATH,
    policy: policy('get_limit', READ),
    target: limitTarget,
    summary: 'show a limit',
    status: 200,
    async handler({ app, params, baseUrl }) {
      return { limit: limitView(baseUrl, await mustGetLimit(app.store.read, params.limit_id!)) };
    },
  },
  {
    method: 'PATCH',
    path: PATH,
    policy: policy('update_limit', ADMIN),
    target: existingLimit,
    summary: 'change a limit',
    body: enveloped('limit', CHANGEABLE, [], false),
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<{ limit: Partial<LimitBody> }>) {
      return { limit: limitView(baseUrl, await updateLimit(app, params.limit_id!, body.limit)) };
    },
  },
  {
    method: 'DELETE',
    path: PATH,
    policy: policy('delete_limit', ADMIN),
    target: existingLimit,
    summary: 'delete a limit',
    status: 204,
    handler: ({ app, params }) => deleteLimit(app, params.limit_id!),
  },
];

/** All of them for administrators, services and the system; else those of the token's domain or project. */
async function visibleLimits(request: OpRequest): Promise<LimitRow[]> {
  const { app, ctx } = request;
  const filters = columnFilters(request, { text: FILTERS });
  const inexact = inexactFilters(request, FILTERS);
  const { system, domain, project, roles } = ctx.token;
  const all = system || ctx.isAdmin || roles.some(({ name }) => name === 'service');
  if (all) return await listLimits(app.store.read, filters, inexact);
  if (domain) return await listLimits(app.store.read, filters, inexact, domain.id);
  if (!project || (filters.project_id ?? project.id) !== project.id) return [];
  return await listLimits(app.store.read, { ...filters, project_id: project.id }, inexact);
}

/** Whose limit it is. Whether there is such a limit is found out after the check. */
async function limitTarget({ app, params }: OpRequest) {
  const row = await getLimit(app.store.read, params.limit_id!);
  const project = row?.project_id ? await projects.get(app.store.read, row.project_id) : undefined;
  return {
    'target.limit.domain.id': row?.domain_id ?? '',
    'target.limit.project_id': row?.project_id ?? '',
    'target.limit.project.domain_id': project?.domain_id ?? '',
  };
}

/** 404 comes before the check, as in Keystone. */
async function existingLimit(request: OpRequest) {
  await mustGetLimit(request.app.store.read, request.params.limit_id!);
  return await limitTarget(request);
}
