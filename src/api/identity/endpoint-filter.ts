import {
  associate,
  checkAssociation,
  createEndpointGroup,
  deleteEndpointGroup,
  dissociate,
  type EndpointGroupBody,
  endpointsOfGroup,
  type FilterKind,
  updateEndpointGroup,
} from '../../core/catalog/endpoint-filter.js';
import { mustGet } from '../../core/identity/rows.js';
import { tagged } from '../../core/token/reachable.js';
import {
  type EndpointGroupRow,
  endpointGroups,
  endpoints,
  listProjectEndpoints,
} from '../../store/identity/catalog.js';
import { projects } from '../../store/identity/projects.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { collection, columnFilters } from './lists.js';
import { ADMIN, ADMIN_OR_READER, policy } from './policy.js';
import { enveloped, NAME, TEXT_OR_NULL } from './schemas.js';
import { endpointView, projectView } from './views.js';

const BASE = '/v3/OS-EP-FILTER';
const GROUP = `${BASE}/endpoint_groups/:endpoint_group_id`;
const PROPERTIES = {
  name: NAME,
  description: TEXT_OR_NULL,
  filters: { type: 'object', additionalProperties: { type: 'string' } },
};

type Body = { endpoint_group: EndpointGroupBody };

/** Endpoint groups, and which endpoints a project's catalogue is confined to. */
export const endpointFilterOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: `${BASE}/endpoint_groups`,
    policy: policy('create_endpoint_group', ADMIN),
    summary: 'create an endpoint group',
    body: enveloped('endpoint_group', PROPERTIES, ['name', 'filters']),
    status: 201,
    async handler({ app, body, baseUrl }: OpRequest<Body>) {
      return { endpoint_group: view(baseUrl, await createEndpointGroup(app, body.endpoint_group)) };
    },
  },
  {
    method: 'GET',
    path: `${BASE}/endpoint_groups`,
    policy: policy('list_endpoint_groups', ADMIN_OR_READER),
    summary: 'list endpoint groups',
    status: 200,
    async handler(request) {
      const filters = columnFilters(request, { text: ['name'] });
      const rows = await endpointGroups.list(request.app.store.read, filters);
      return collection(
        request,
        'endpoint_groups',
        rows.map((row) => view(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: GROUP,
    policy: policy('get_endpoint_group', ADMIN_OR_READER),
    summary: 'show an endpoint group',
    status: 200,
    handler: async (request) => ({ endpoint_group: view(request.baseUrl, await groupOf(request)) }),
  },
  {
    method: 'HEAD',
    path: GROUP,
    policy: policy('get_endpoint_group', ADMIN_OR_READER),
    summary: 'check an endpoint group',
    status: 200,
    async handler(request) {
      await groupOf(request);
      return new OpReply(200);
    },
  },
  {
    method: 'PATCH',
    path: GROUP,
    policy: policy('update_endpoint_group', ADMIN),
    summary: 'change an endpoint group',
    body: enveloped('endpoint_group', PROPERTIES),
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<Body>) {
      const row = await updateEndpointGroup(app, params.endpoint_group_id!, body.endpoint_group);
      return { endpoint_group: view(baseUrl, row) };
    },
  },
  {
    method: 'DELETE',
    path: GROUP,
    policy: policy('delete_endpoint_group', ADMIN),
    summary: 'delete an endpoint group',
    status: 204,
    handler: ({ app, params }) => deleteEndpointGroup(app, params.endpoint_group_id!),
  },
  {
    method: 'GET',
    path: `${GROUP}/endpoints`,
    policy: policy('list_endpoints_associated_with_endpoint_group', ADMIN_OR_READER),
    summary: 'list the endpoints of an endpoint group',
    status: 200,
    async handler(request) {
      const rows = await endpointsOfGroup(request.app.store.read, await groupOf(request));
      return collection(
        request,
        'endpoints',
        rows.map((row) => endpointView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: `${GROUP}/projects`,
    policy: policy('list_projects_associated_with_endpoint_group', ADMIN_OR_READER),
    summary: 'list the projects of an endpoint group',
    status: 200,
    handler: async (request) => await projectsOf(request, 'endpoint_group', (await groupOf(request)).id),
  },
  {
    method: 'GET',
    path: `${BASE}/endpoints/:endpoint_id/projects`,
    policy: policy('list_projects_for_endpoint', ADMIN_OR_READER),
    summary: 'list the projects of an endpoint',
    status: 200,
    async handler(request) {
      const { app, params } = request;
      const endpoint = await mustGet(endpoints, app.store.read, params.endpoint_id!, 'endpoint');
      return await projectsOf(request, 'endpoint', endpoint.id);
    },
  },
  {
    method: 'GET',
    path: `${BASE}/projects/:project_id/endpoints`,
    policy: policy('list_endpoints_for_project', ADMIN_OR_READER),
    summary: 'list the endpoints associated with a project',
    status: 200,
    async handler(request) {
      const rows = await endpoints.list(request.app.store.read, { id: await targetsOf(request, 'endpoint') });
      return collection(
        request,
        'endpoints',
        rows.map((row) => endpointView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: `${BASE}/projects/:project_id/endpoint_groups`,
    policy: policy('list_endpoint_groups_for_project', ADMIN_OR_READER),
    summary: 'list the endpoint groups associated with a project',
    status: 200,
    async handler(request) {
      const ids = await targetsOf(request, 'endpoint_group');
      const rows = await endpointGroups.list(request.app.store.read, { id: ids });
      return collection(
        request,
        'endpoint_groups',
        rows.map((row) => view(request.baseUrl, row)),
      );
    },
  },
  ...association('endpoint', `${BASE}/projects/:project_id/endpoints/:endpoint_id`, 204),
  ...association('endpoint_group', `${GROUP}/projects/:project_id`, 200),
];

function association(kind: FilterKind, path: string, checked: number): Operation[] {
  const called = kind.replace('_', ' ');
  const id = ({ params }: OpRequest) => params[`${kind}_id`]!;
  const check = (method: 'GET' | 'HEAD'): Operation => ({
    method,
    path,
    policy: policy(
      kind === 'endpoint' ? 'check_endpoint_in_project' : 'get_endpoint_group_in_project',
      ADMIN_OR_READER,
    ),
    summary: `check that an ${called} is associated with a project`,
    status: checked,
    async handler(request) {
      const { app, params, baseUrl, raw } = request;
      await checkAssociation(app.store.read, params.project_id!, kind, id(request));
      if (kind === 'endpoint' || method === 'HEAD') return new OpReply(checked);
      const self = `${baseUrl}${raw.url.slice('/identity'.length)}`;
      return {
        endpoint_group: { endpoint_group_id: id(request), project_id: params.project_id, links: { self } },
      };
    },
  });
  return [
    {
      method: 'PUT',
      path,
      policy: policy(`add_${kind}_to_project`, ADMIN),
      summary: `associate an ${called} with a project`,
      status: 204,
      handler: (request) => associate(request.app, request.params.project_id!, kind, id(request)),
    },
    check('GET'),
    check('HEAD'),
    {
      method: 'DELETE',
      path,
      policy: policy(`remove_${kind}_from_project`, ADMIN),
      summary: `end the association of an ${called} with a project`,
      status: 204,
      handler: (request) => dissociate(request.app, request.params.project_id!, kind, id(request)),
    },
  ];
}

async function groupOf({ app, params }: OpRequest): Promise<EndpointGroupRow> {
  return await mustGet(endpointGroups, app.store.read, params.endpoint_group_id!, 'endpoint group');
}

async function targetsOf({ app, params }: OpRequest, kind: FilterKind): Promise<string[]> {
  const project = await mustGet(projects, app.store.read, params.project_id!, 'project');
  const found = await listProjectEndpoints(app.store.read, { project_id: project.id, kind });
  return found.map((row) => row.target_id);
}

async function projectsOf(request: OpRequest, kind: FilterKind, id: string) {
  const db = request.app.store.read;
  const ids = (await listProjectEndpoints(db, { kind, target_id: id })).map((row) => row.project_id);
  const found = await tagged(db, await projects.list(db, { id: ids }));
  return collection(
    request,
    'projects',
    found.map(({ row, tags }) => projectView(request.baseUrl, row, tags)),
  );
}

function view(base: string, row: EndpointGroupRow) {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    filters: JSON.parse(row.filters) as Record<string, string>,
    links: { self: `${base}/v3/OS-EP-FILTER/endpoint_groups/${row.id}` },
  };
}
