import { badRequest } from '../../../core/errors.js';
import { visibleServer } from '../../../core/server/find.js';
import { changeMetadata, type Metadata, metadataItemNotFound } from '../../../core/server/update.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { MEMBER, policy, READER } from '../policy.js';
import { envelope, METADATA } from '../schemas.js';

const ALL = envelope('metadata', METADATA);
const ONE = envelope('meta', { ...METADATA, minProperties: 1, maxProperties: 1 });

/** Key–value pairs of servers. */
export const serverMetadataOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/metadata',
    policy: policy('server-metadata:index', READER),
    summary: "List a server's metadata",
    status: 200,
    handler: async (request) => ({ metadata: await read(request) }),
  },
  {
    method: 'POST',
    path: '/v2.1/servers/:server_id/metadata',
    policy: policy('server-metadata:create', MEMBER),
    summary: "Add to a server's metadata",
    body: ALL,
    status: 200,
    handler: (request: OpRequest<{ metadata: Metadata }>) =>
      change(request, (old) => ({ ...old, ...request.body.metadata })),
  },
  {
    method: 'PUT',
    path: '/v2.1/servers/:server_id/metadata',
    policy: policy('server-metadata:update_all', MEMBER),
    summary: "Replace a server's metadata",
    body: ALL,
    status: 200,
    handler: (request: OpRequest<{ metadata: Metadata }>) => change(request, () => request.body.metadata),
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/metadata/:key',
    policy: policy('server-metadata:show', READER),
    summary: "Show an item of a server's metadata",
    status: 200,
    handler: async (request) => {
      const metadata = await read(request);
      const key = request.params.key!;
      if (!Object.hasOwn(metadata, key)) throw metadataItemNotFound();
      return { meta: { [key]: metadata[key] } };
    },
  },
  {
    method: 'PUT',
    path: '/v2.1/servers/:server_id/metadata/:key',
    policy: policy('server-metadata:update', MEMBER),
    summary: "Set an item of a server's metadata",
    body: ONE,
    status: 200,
    handler: async (request: OpRequest<{ meta: Metadata }>) => {
      const { meta } = request.body;
      if (!Object.hasOwn(meta, request.params.key!)) throw badRequest('Request body and URI mismatch');
      await change(request, (old) => ({ ...old, ...meta }));
      return { meta };
    },
  },
  {
    method: 'DELETE',
    path: '/v2.1/servers/:server_id/metadata/:key',
    policy: policy('server-metadata:delete', MEMBER),
    summary: "Delete an item of a server's metadata",
    status: 204,
    handler: async (request) => {
      const key = request.params.key!;
      await change(request, (old) => {
        if (!Object.hasOwn(old, key)) throw metadataItemNotFound();
        return Object.fromEntries(Object.entries(old).filter(([name]) => name !== key));
      });
    },
  },
];

async function read({ app, ctx, params }: OpRequest): Promise<Metadata> {
  const row = await visibleServer(app.store.read, ctx, params.server_id!);
  return JSON.parse(row.metadata) as Metadata;
}

async function change({ app, ctx, params }: OpRequest, next: (old: Metadata) => Metadata) {
  return { metadata: await changeMetadata(app, ctx, params.server_id!, next) };
}
