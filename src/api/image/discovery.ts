import { notFound } from '../../core/errors.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { IMAGE_SCHEMA, IMAGES_SCHEMA, MEMBER_SCHEMA, MEMBERS_SCHEMA } from './schemas.js';

/** Minor versions of the API that this service speaks; the newest is current. */
const VERSIONS = ['v2.9', 'v2.7', 'v2.6', 'v2.5', 'v2.4', 'v2.3', 'v2.2', 'v2.1', 'v2.0'];

const SCHEMAS: Readonly<Record<string, unknown>> = {
  image: IMAGE_SCHEMA,
  images: IMAGES_SCHEMA,
  member: MEMBER_SCHEMA,
  members: MEMBERS_SCHEMA,
};

export const discoveryOperations: readonly Operation[] = [
  ...(['', '/'] as const).map((path) => versions(path, 300)),
  versions('/versions', 200),
  {
    method: 'GET',
    path: '/v2',
    policy: null,
    summary: 'Redirect to the version root',
    status: 302,
    handler: ({ baseUrl }) =>
      new OpReply(302, undefined, { location: `${baseUrl}/v2/`, 'content-type': 'text/plain' }),
  },
  {
    method: 'GET',
    path: '/v2/schemas/:name',
    policy: { name: 'get_schemas', rule: '@' },
    summary: 'Show a JSON schema',
    status: 200,
    handler: ({ params }) => {
      const schema = SCHEMAS[params.name!];
      if (!schema) throw notFound('The resource could not be found.');
      return schema;
    },
  },
  {
    method: 'GET',
    path: '/v2/info/import',
    policy: { name: 'get_import_info', rule: '@' },
    summary: 'List import methods',
    status: 200,
    handler: () => ({
      'import-methods': { description: 'Import methods available.', type: 'array', value: [] },
    }),
  },
  {
    method: 'GET',
    path: '/v2/info/stores',
    policy: { name: 'get_store_info', rule: '@' },
    summary: 'List stores (there is one)',
    status: 200,
    handler: () => {
      throw notFound('Multi backend is not supported at this site.');
    },
  },
];

function versions(path: string, status: number): Operation {
  return { method: 'GET', path, policy: null, summary: 'List API versions', status, handler: listVersions };
}

function listVersions({ baseUrl }: OpRequest): unknown {
  const links = [{ rel: 'self', href: `${baseUrl}/v2/` }];
  return {
    versions: VERSIONS.map((id, i) => ({ id, status: i === 0 ? 'CURRENT' : 'SUPPORTED', links })),
  };
}
