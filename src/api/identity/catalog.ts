import {
  createEndpoint,
  deleteEndpoint,
  type EndpointBody,
  updateEndpoint,
} from '../../core/catalog/endpoint.js';
import { createRegion, deleteRegion, type RegionBody, updateRegion } from '../../core/catalog/region.js';
import { createService, deleteService, type ServiceBody, updateService } from '../../core/catalog/service.js';
import { badRequest } from '../../core/errors.js';
import { mustGet } from '../../core/identity/rows.js';
import { endpoints, regions, services } from '../../store/identity/catalog.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection, columnFilters, inexactFilters } from './lists.js';
import { ADMIN, ADMIN_OR_READER, ANYBODY, policy } from './policy.js';
import { refuseOtherId } from './same-id.js';
import { BOOLEAN, enveloped, ID_OR_NULL, TEXT_OR_NULL } from './schemas.js';
import { endpointView, regionView, serviceView } from './views.js';

const REGION = {
  id: { type: 'string', maxLength: 255 },
  description: TEXT_OR_NULL,
  parent_region_id: { type: ['string', 'null'], maxLength: 255 },
};
const SERVICE = {
  type: { type: 'string', minLength: 1, maxLength: 255 },
  name: { type: ['string', 'null'], maxLength: 255 },
  description: TEXT_OR_NULL,
  enabled: BOOLEAN,
};
const ENDPOINT = {
  service_id: { type: 'string', minLength: 1, maxLength: 64 },
  region_id: { ...ID_OR_NULL, maxLength: 255 },
  region: { ...ID_OR_NULL, maxLength: 255 },
  interface: { type: 'string', enum: ['admin', 'internal', 'public'] },
  url: { type: 'string', minLength: 1, maxLength: 2048, pattern: '^[^\\s]+://[^\\s]+$' },
  enabled: BOOLEAN,
};

type Request = OpRequest<{ region: RegionBody; service: ServiceBody; endpoint: EndpointBody }>;

/** One kind of catalogue row: how it is called, checked, changed and shown. */
interface Kind {
  readonly name: 'region' | 'service' | 'endpoint';
  readonly readRule: string;
  readonly schema: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly required: readonly string[];
  list(request: OpRequest): Promise<unknown[]>;
  show(request: OpRequest, id: string): Promise<unknown>;
  create(request: Request): Promise<unknown>;
  update(request: Request, id: string): Promise<unknown>;
  remove(request: OpRequest, id: string): Promise<void>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'region',
    readRule: ANYBODY,
    schema: REGION,
    required: [],
    async list(request) {
      const filters = columnFilters(request, { text: ['parent_region_id'] });
      const inexact = inexactFilters(request, ['parent_region_id']);
      const rows = await regions.list(request.app.store.read, filters, { inexact });
      return rows.map((row) => regionView(request.baseUrl, row));
    },
    show: async ({ app, baseUrl }, id) =>
      regionView(baseUrl, await mustGet(regions, app.store.read, id, 'region')),
    create: async ({ app, body, baseUrl }) => regionView(baseUrl, await createRegion(app, body.region)),
    update: async ({ app, body, baseUrl }, id) =>
      regionView(baseUrl, await updateRegion(app, id, body.region)),
    remove: ({ app }, id) => deleteRegion(app, id),
  },
  {
    name: 'service',
    readRule: ADMIN_OR_READER,
    schema: SERVICE,
    required: ['type'],
    async list(request) {
      const filters = columnFilters(request, { text: ['type', 'name'], flags: ['enabled'] });
      const inexact = inexactFilters(request, ['type', 'name']);
      const rows = await services.list(request.app.store.read, filters, { inexact });
      return rows.map((row) => serviceView(request.baseUrl, row));
    },
    show: async ({ app, baseUrl }, id) =>
      serviceView(baseUrl, await mustGet(services, app.store.read, id, 'service')),
    create: async ({ app, body, baseUrl }) => serviceView(baseUrl, await createService(app, body.service)),
    update: async ({ app, body, baseUrl }, id) =>
      serviceView(baseUrl, await updateService(app, id, body.service)),
    remove: ({ app }, id) => deleteService(app, id),
  },
  {
    name: 'endpoint',
    readRule: ADMIN_OR_READER,
    schema: ENDPOINT,
    required: ['service_id', 'interface', 'url'],
    async list(request) {
      const filters = columnFilters(request, {
        text: ['service_id', 'interface', 'region_id'],
        flags: ['enabled'],
      });
      const inexact = inexactFilters(request, ['service_id', 'interface', 'region_id']);
      const rows = await endpoints.list(request.app.store.read, filters, { inexact });
      return rows.map((row) => endpointView(request.baseUrl, row));
    },
    show: async ({ app, baseUrl }, id) =>
      endpointView(baseUrl, await mustGet(endpoints, app.store.read, id, 'endpoint')),
    create: async ({ app, body, baseUrl }) => endpointView(baseUrl, await createEndpoint(app, body.endpoint)),
    update: async ({ app, body, baseUrl }, id) =>
      endpointView(baseUrl, await updateEndpoint(app, id, body.endpoint)),
    remove: ({ app }, id) => deleteEndpoint(app, id),
  },
];

/** Regions, services and endpoints: what the catalogue in tokens is made of. */
export const catalogOperations: readonly Operation[] = [
  ...KINDS.flatMap(operationsOf),
  {
    method: 'PUT',
    path: '/v3/regions/:id',
    policy: policy('create_region', ADMIN),
    summary: 'create a region with a given id',
    body: enveloped('region', REGION),
    status: 201,
    async handler({ app, params, body, baseUrl }: Request) {
      const { id = params.id } = body.region;
      if (id !== params.id) {
        throw badRequest(`Conflicting region IDs specified: "${params.id}" != "${id}"`);
      }
      return { region: regionView(baseUrl, await createRegion(app, { ...body.region, id })) };
    },
  },
];

function operationsOf(kind: Kind): Operation[] {
  const { name } = kind;
  const path = `/v3/${name}s`;
  const article = name === 'endpoint' ? 'an' : 'a';
  return [
    {
      method: 'POST',
      path,
      policy: policy(`create_${name}`, ADMIN),
      summary: `create ${article} ${name}`,
      body: enveloped(name, kind.schema, kind.required),
      status: 201,
      handler: async (request) => ({ [name]: await kind.create(request) }),
    },
    {
      method: 'GET',
      path,
      policy: policy(`list_${name}s`, kind.readRule),
      summary: `list ${name}s`,
      status: 200,
      handler: async (request) => collection(request, `${name}s`, await kind.list(request)),
    },
    {
      method: 'GET',
      path: `${path}/:id`,
      policy: policy(`get_${name}`, kind.readRule),
      summary: `show ${article} ${name}`,
      status: 200,
      handler: async (request) => ({ [name]: await kind.show(request, request.params.id!) }),
    },
    {
      method: 'PATCH',
      path: `${path}/:id`,
      policy: policy(`update_${name}`, ADMIN),
      summary: `change ${article} ${name}`,
      body: enveloped(name, kind.schema),
      status: 200,
      async handler(request) {
        refuseOtherId(request.body[name], request.params.id!);
        return { [name]: await kind.update(request, request.params.id!) };
      },
    },
    {
      method: 'DELETE',
      path: `${path}/:id`,
      policy: policy(`delete_${name}`, ADMIN),
      summary: `delete ${article} ${name}`,
      status: 204,
      handler: (request) => kind.remove(request, request.params.id!),
    },
  ];
}
