import {
  createRegisteredLimits,
  deleteRegisteredLimit,
  getRegisteredLimit,
  type RegisteredLimitBody,
  updateRegisteredLimit,
} from '../../core/limit/registered-limit.js';
import { type RegisteredLimitRow, registeredLimits } from '../../store/identity/limits.js';
import type { Operation, OpRequest, Schema } from '../shared/operation.js';
import { collection, columnFilters, inexactFilters } from './lists.js';
import { ADMIN, ANYBODY, policy } from './policy.js';
import {
  enveloped,
  envelopedList,
  ID,
  LIMIT_VALUE,
  NAME,
  REGION_OR_NULL,
  SHORT_TEXT_OR_NULL,
} from './schemas.js';

const PATH = '/v3/registered_limits/:registered_limit_id';
const FILTERS = ['service_id', 'region_id', 'resource_name'] as const;
const PROPERTIES: Readonly<Record<string, Schema>> = {
  service_id: ID,
  region_id: REGION_OR_NULL,
  resource_name: NAME,
  default_limit: LIMIT_VALUE,
  description: SHORT_TEXT_OR_NULL,
};

/** What resources of services are limited to unless a limit says otherwise. */
export const registeredLimitOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/registered_limits',
    policy: policy('create_registered_limits', ADMIN),
    summary: 'create registered limits',
    body: envelopedList('registered_limits', PROPERTIES, ['service_id', 'resource_name', 'default_limit']),
    status: 201,
    async handler({ app, body, baseUrl }: OpRequest<{ registered_limits: RegisteredLimitBody[] }>) {
      const rows = await createRegisteredLimits(app, body.registered_limits);
      return { registered_limits: rows.map((row) => registeredLimitView(baseUrl, row)) };
    },
  },
  {
    method: 'GET',
    path: '/v3/registered_limits',
    policy: policy('list_registered_limits', ANYBODY),
    summary: 'list registered limits',
    status: 200,
    async handler(request) {
      const rows = await registeredLimits.list(
        request.app.store.read,
        columnFilters(request, { text: FILTERS }),
        { inexact: inexactFilters(request, FILTERS) },
      );
      return collection(
        request,
        'registered_limits',
        rows.map((row) => registeredLimitView(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: PATH,
    policy: policy('get_registered_limit', ANYBODY),
    summary: 'show a registered limit',
    status: 200,
    async handler({ app, params, baseUrl }) {
      const row = await getRegisteredLimit(app.store.read, params.registered_limit_id!);
      return { registered_limit: registeredLimitView(baseUrl, row) };
    },
  },
  {
    method: 'PATCH',
    path: PATH,
    policy: policy('update_registered_limit', ADMIN),
    summary: 'change a registered limit',
    body: enveloped('registered_limit', PROPERTIES, [], false),
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<{ registered_limit: RegisteredLimitBody }>) {
      const row = await updateRegisteredLimit(app, params.registered_limit_id!, body.registered_limit);
      return { registered_limit: registeredLimitView(baseUrl, row) };
    },
  },
  {
    method: 'DELETE',
    path: PATH,
    policy: policy('delete_registered_limit', ADMIN),
    summary: 'delete a registered limit',
    status: 204,
    handler: ({ app, params }) => deleteRegisteredLimit(app, params.registered_limit_id!),
  },
];

function registeredLimitView(base: string, row: RegisteredLimitRow) {
  return {
    id: row.id,
    service_id: row.service_id,
    region_id: row.region_id || null,
    resource_name: row.resource_name,
    default_limit: row.default_limit,
    description: row.description,
    links: { self: `${base}/v3/registered_limits/${row.id}` },
  };
}
