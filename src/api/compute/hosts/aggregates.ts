import {
  addHostToAggregate,
  createAggregate,
  deleteAggregate,
  getAggregate,
  removeHostFromAggregate,
  setAggregateMetadata,
  updateAggregate,
} from '../../../core/aggregate/aggregate.js';
import { badRequest, notFound } from '../../../core/errors.js';
import { type Aggregate, listAggregates } from '../../../store/compute/aggregate.js';
import { atLeast } from '../../shared/microversion.js';
import type { Operation, OpRequest, Schema } from '../../shared/operation.js';
import { validate } from '../../shared/validate.js';
import { ADMIN, policy } from '../policy.js';
import { envelope, NAME, object } from '../schemas.js';
import { microseconds } from '../server/view.js';

const ZONE: Schema = {
  anyOf: [
    { type: 'string', minLength: 1, maxLength: 255, pattern: '^(?!\\s)[^:\\u0000-\\u001f]*[^\\s:]$' },
    { type: 'null' },
  ],
};
const FIELDS = { name: NAME, availability_zone: ZONE };

interface AggregateBody {
  aggregate: { name?: string; availability_zone?: string | null };
}

/** Policies of the actions on an aggregate, by their names in the body. */
export const AGGREGATE_ACTIONS = {
  add_host: policy('os-aggregates:add_host', ADMIN),
  remove_host: policy('os-aggregates:remove_host', ADMIN),
  set_metadata: policy('os-aggregates:set_metadata', ADMIN),
};

/** Groups of hosts, which may be availability zones. */
export const aggregateOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-aggregates',
    policy: policy('os-aggregates:index', ADMIN),
    summary: 'List aggregates',
    status: 200,
    handler: async (request) => ({
      aggregates: (await listAggregates(request.app.store.read)).map((row) => show(request, row)),
    }),
  },
  {
    method: 'POST',
    path: '/v2.1/os-aggregates',
    policy: policy('os-aggregates:create', ADMIN),
    summary: 'Create an aggregate',
    body: envelope('aggregate', object(FIELDS, ['name'])),
    status: 200,
    handler: async (request: OpRequest<AggregateBody>) => {
      const { name = '', availability_zone } = request.body.aggregate;
      const made = await createAggregate(request.app, name, availability_zone ?? null);
      const { hosts: _hosts, metadata: _metadata, ...shown } = show(request, made);
      return { aggregate: shown };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-aggregates/:id',
    policy: policy('os-aggregates:show', ADMIN),
    summary: 'Show an aggregate',
    status: 200,
    handler: async (request) => ({
      aggregate: show(request, await getAggregate(request.app.store.read, idOf(request))),
    }),
  },
  {
    method: 'PUT',
    path: '/v2.1/os-aggregates/:id',
    policy: policy('os-aggregates:update', ADMIN),
    summary: 'Change an aggregate',
    body: envelope('aggregate', { ...object(FIELDS), minProperties: 1 }),
    status: 200,
    handler: async (request: OpRequest<AggregateBody>) => {
      const { name, availability_zone: zone } = request.body.aggregate;
      return { aggregate: show(request, await updateAggregate(request.app, idOf(request), { name, zone })) };
    },
  },
  {
    method: 'DELETE',
    path: '/v2.1/os-aggregates/:id',
    policy: policy('os-aggregates:delete', ADMIN),
    summary: 'Delete an aggregate',
    status: 200,
    handler: async (request) => await deleteAggregate(request.app, idOf(request)),
  },
  {
    method: 'POST',
    path: '/v2.1/os-aggregates/:id/action',
    policy: AGGREGATE_ACTIONS.add_host,
    otherPolicy: ({ body }) => actionPolicy(body)?.name,
    summary: 'Add or remove a host, or set metadata, of an aggregate',
    body: { type: 'object', minProperties: 1, maxProperties: 1 },
    status: 200,
    handler: act,
  },
];

/** The policy of the action that a body names; undefined when it names none that there is. */
function actionPolicy(body: unknown): { readonly name: string } | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const [name = ''] = Object.keys(body);
  return Object.hasOwn(AGGREGATE_ACTIONS, name)
    ? AGGREGATE_ACTIONS[name as keyof typeof AGGREGATE_ACTIONS]
    : undefined;
}

const HOST = object(
  { host: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-._]*$' } },
  ['host'],
);
const ITEMS = object(
  {
    metadata: {
      type: 'object',
      patternProperties: {
        '^[a-zA-Z0-9-_:. ]{1,255}$': { type: ['string', 'null'], maxLength: 255 },
      },
      additionalProperties: false,
    },
  },
  ['metadata'],
);

interface ActionBody {
  add_host?: { host: string };
  remove_host?: { host: string };
  set_metadata?: { metadata: Record<string, string | null> };
}

async function act(request: OpRequest<ActionBody>) {
  const { app, body } = request;
  const [name = ''] = Object.keys(body);
  const schema = { add_host: HOST, remove_host: HOST, set_metadata: ITEMS }[name];
  if (!schema) throw badRequest(`There is no such action: ${name}`);
  validate(envelope(name, schema), body);
  const id = idOf(request);
  const changed = body.add_host
    ? await addHostToAggregate(app, id, body.add_host.host)
    : body.remove_host
      ? await removeHostFromAggregate(app, id, body.remove_host.host)
      : await setAggregateMetadata(app, id, body.set_metadata!.metadata);
  return { aggregate: show(request, changed) };
}

function idOf({ params }: OpRequest): number {
  const id = Number(params.id);
  if (!Number.isSafeInteger(id)) throw notFound(`Aggregate ${params.id} could not be found.`);
  return id;
}

function show({ version }: OpRequest, aggregate: Aggregate): Record<string, unknown> {
  return {
    id: aggregate.id,
    name: aggregate.name,
    availability_zone: aggregate.availability_zone,
    hosts: aggregate.hosts.map(({ name }) => name),
    metadata: JSON.parse(aggregate.metadata),
    created_at: microseconds(aggregate.created_at),
    updated_at: microseconds(aggregate.updated_at),
    deleted: false,
    deleted_at: null,
    ...(atLeast(version, '2.41') ? { uuid: aggregate.uuid } : {}),
  };
}
