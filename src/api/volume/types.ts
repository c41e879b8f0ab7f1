import { notFound } from '../../core/errors.js';
import {
  changeVolumeType,
  createVolumeType,
  deleteVolumeType,
  visibleVolumeType,
} from '../../core/volume/types.js';
import { listVolumeTypes } from '../../store/volume.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { typeView } from './view.js';

const ADMIN = 'rule:context_is_admin';
const READER = 'rule:project_reader_or_admin';
const TYPES = '/v3/:project_id/types';

const SPECS = {
  type: 'object',
  patternProperties: { '^[a-zA-Z0-9-_:. ]{1,255}$': { type: 'string', maxLength: 255 } },
  additionalProperties: false,
};
const TYPE = {
  name: { type: 'string', maxLength: 255 },
  description: { type: ['string', 'null'], maxLength: 255 },
  extra_specs: SPECS,
  'os-volume-type-access:is_public': { type: 'boolean' },
  is_public: { type: 'boolean' },
};

export const typeOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: TYPES,
    policy: { name: 'volume_extension:type_get_all', rule: READER },
    summary: 'List volume types',
    status: 200,
    handler: async ({ app, ctx }) => ({
      volume_types: (await listVolumeTypes(app.store.read, ctx.isAdmin)).map((t) => typeView(t, ctx.isAdmin)),
    }),
  },
  {
    method: 'POST',
    path: TYPES,
    policy: { name: 'volume_extension:type_create', rule: ADMIN },
    summary: 'Create a volume type',
    status: 200,
    body: envelope({ ...TYPE }, ['name']),
    handler: async ({ app, body }) => ({
      volume_type: typeView(await createVolumeType(app, input(body.volume_type)), true),
    }),
  },
  {
    method: 'GET',
    path: `${TYPES}/:type_id`,
    policy: { name: 'volume_extension:type_get', rule: READER },
    summary: 'Show a volume type',
    status: 200,
    handler: async ({ app, ctx, params }) => {
      const name = params.type_id === 'default' ? '__DEFAULT__' : params.type_id!;
      return { volume_type: typeView(await visibleVolumeType(app, ctx, name), ctx.isAdmin) };
    },
  },
  {
    method: 'PUT',
    path: `${TYPES}/:type_id`,
    policy: { name: 'volume_extension:type_update', rule: ADMIN },
    summary: 'Update a volume type',
    status: 200,
    body: envelope({ ...TYPE }, []),
    handler: async ({ app, params, body }) => ({
      volume_type: typeView(await changeVolumeType(app, params.type_id!, input(body.volume_type)), true),
    }),
  },
  {
    method: 'DELETE',
    path: `${TYPES}/:type_id`,
    policy: { name: 'volume_extension:type_delete', rule: ADMIN },
    summary: 'Delete a volume type',
    status: 202,
    handler: async ({ app, params }) => await deleteVolumeType(app, params.type_id!),
  },
  {
    method: 'GET',
    path: `${TYPES}/:type_id/extra_specs`,
    policy: { name: 'volume_extension:types_extra_specs:index', rule: READER },
    summary: "List a type's extra specs",
    status: 200,
    handler: async (request) => ({ extra_specs: await specsOf(request) }),
  },
  {
    method: 'POST',
    path: `${TYPES}/:type_id/extra_specs`,
    policy: { name: 'volume_extension:types_extra_specs:create', rule: ADMIN },
    summary: "Add to a type's extra specs",
    status: 200,
    body: {
      type: 'object',
      properties: { extra_specs: SPECS },
      required: ['extra_specs'],
      additionalProperties: false,
    },
    handler: async (request: OpRequest<{ extra_specs: Record<string, string> }>) => {
      await setSpecs(request, { ...(await specsOf(request)), ...request.body.extra_specs });
      return { extra_specs: request.body.extra_specs };
    },
  },
  {
    method: 'GET',
    path: `${TYPES}/:type_id/extra_specs/:key`,
    policy: { name: 'volume_extension:types_extra_specs:show', rule: READER },
    summary: 'Show an extra spec',
    status: 200,
    handler: async (request) => ({ [request.params.key!]: spec(await specsOf(request), request.params) }),
  },
  {
    method: 'PUT',
    path: `${TYPES}/:type_id/extra_specs/:key`,
    policy: { name: 'volume_extension:types_extra_specs:update', rule: ADMIN },
    summary: 'Change an extra spec',
    status: 200,
    body: { ...SPECS, minProperties: 1, maxProperties: 1 },
    handler: async (request: OpRequest<Record<string, string>>) => {
      await setSpecs(request, { ...(await specsOf(request)), ...request.body });
      return request.body;
    },
  },
  {
    method: 'DELETE',
    path: `${TYPES}/:type_id/extra_specs/:key`,
    policy: { name: 'volume_extension:types_extra_specs:delete', rule: ADMIN },
    summary: 'Remove an extra spec',
    status: 202,
    handler: async (request) => {
      const specs = await specsOf(request);
      spec(specs, request.params);
      const { [request.params.key!]: _removed, ...rest } = specs;
      await setSpecs(request, rest);
    },
  },
];

function envelope(properties: Record<string, unknown>, required: readonly string[]) {
  const inner = { type: 'object', properties, required, additionalProperties: false };
  return {
    type: 'object',
    properties: { volume_type: inner },
    required: ['volume_type'],
    additionalProperties: false,
  };
}

function input(body: Record<string, unknown>) {
  const { 'os-volume-type-access:is_public': access, ...rest } = body;
  return { ...rest, ...(access === undefined ? {} : { is_public: access as boolean }) } as { name: string };
}

async function specsOf({ app, ctx, params }: OpRequest): Promise<Record<string, string>> {
  return JSON.parse((await visibleVolumeType(app, ctx, params.type_id!)).extra_specs);
}

async function setSpecs({ app, params }: OpRequest, extra_specs: Record<string, string>): Promise<void> {
  await changeVolumeType(app, params.type_id!, { extra_specs });
}

function spec(specs: Record<string, string>, params: OpRequest['params']): string {
  const value = Object.hasOwn(specs, params.key!) ? specs[params.key!] : undefined;
  if (value === undefined) {
    throw notFound(`Volume Type ${params.type_id} has no extra specs with key ${params.key}.`);
  }
  return value;
}
