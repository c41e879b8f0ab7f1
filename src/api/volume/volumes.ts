import { badRequest, notFound } from '../../core/errors.js';
import { changeVolume, deleteVolume, visibleVolume } from '../../core/volume/change.js';
import { createVolume } from '../../core/volume/create.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { listVolumesPage } from './list.js';
import { CREATE_VOLUME, METADATA, METADATA_ITEM, UPDATE_VOLUME } from './schemas.js';
import { volumeSummary, volumeView } from './view.js';

const MEMBER = 'rule:project_member_or_admin';
const READER = 'rule:project_reader_or_admin';
const VOLUME = '/v3/:project_id/volumes/:volume_id';

export const volumeOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v3/:project_id/volumes',
    policy: { name: 'volume:get_all', rule: READER },
    summary: 'List volumes',
    status: 200,
    handler: (request) => listVolumesPage(request, volumeSummary),
  },
  {
    method: 'GET',
    path: '/v3/:project_id/volumes/detail',
    policy: { name: 'volume:get_all', rule: READER },
    summary: 'List volumes with details',
    status: 200,
    handler: (request) => listVolumesPage(request, volumeView),
  },
  {
    method: 'POST',
    path: '/v3/:project_id/volumes',
    policy: { name: 'volume:create', rule: MEMBER },
    summary: 'Create a volume',
    status: 202,
    body: CREATE_VOLUME,
    handler: create,
  },
  {
    method: 'GET',
    path: VOLUME,
    policy: { name: 'volume:get', rule: READER },
    summary: 'Show a volume',
    status: 200,
    handler: async (request) => ({ volume: volumeView(await found(request), request) }),
  },
  {
    method: 'PUT',
    path: VOLUME,
    policy: { name: 'volume:update', rule: MEMBER },
    summary: 'Update a volume',
    status: 200,
    body: UPDATE_VOLUME,
    handler: update,
  },
  {
    method: 'DELETE',
    path: VOLUME,
    policy: { name: 'volume:delete', rule: MEMBER },
    summary: 'Delete a volume',
    status: 202,
    handler: async ({ app, ctx, params, query }) => {
      const force = query.force === 'true' || query.force === 'True';
      if (force) ctx.authorize('volume:force_delete');
      await deleteVolume(app, ctx, params.volume_id!, force);
    },
  },
  {
    method: 'GET',
    path: `${VOLUME}/metadata`,
    policy: { name: 'volume:get_volume_metadata', rule: READER },
    summary: "Show a volume's metadata",
    status: 200,
    handler: async (request) => ({ metadata: metadataOf(await found(request)) }),
  },
  ...(['POST', 'PUT'] as const).map(
    (method): Operation => ({
      method,
      path: `${VOLUME}/metadata`,
      policy: { name: `volume:${method === 'POST' ? 'create' : 'update'}_volume_metadata`, rule: MEMBER },
      summary: `${method === 'POST' ? 'Add to' : 'Replace'} a volume's metadata`,
      status: 200,
      body: METADATA,
      handler: async (request: OpRequest<{ metadata: Record<string, string> }>) => {
        const before = method === 'POST' ? metadataOf(await found(request)) : {};
        return { metadata: await setMetadata(request, { ...before, ...request.body.metadata }) };
      },
    }),
  ),
  {
    method: 'GET',
    path: `${VOLUME}/metadata/:key`,
    policy: { name: 'volume:get_volume_metadata', rule: READER },
    summary: "Show one entry of a volume's metadata",
    status: 200,
    handler: async (request) => ({
      meta: { [request.params.key!]: entry(metadataOf(await found(request)), request.params) },
    }),
  },
  {
    method: 'PUT',
    path: `${VOLUME}/metadata/:key`,
    policy: { name: 'volume:update_volume_metadata', rule: MEMBER },
    summary: "Set one entry of a volume's metadata",
    status: 200,
    body: METADATA_ITEM,
    handler: async (request: OpRequest<{ meta: Record<string, string> }>) => {
      const { meta } = request.body;
      if (!(request.params.key! in meta)) throw badRequest('Request body and URI mismatch');
      await setMetadata(request, { ...metadataOf(await found(request)), ...meta });
      return { meta };
    },
  },
  {
    method: 'DELETE',
    path: `${VOLUME}/metadata/:key`,
    policy: { name: 'volume:delete_volume_metadata', rule: MEMBER },
    summary: "Remove one entry of a volume's metadata",
    status: 200,
    handler: async (request) => {
      const metadata = metadataOf(await found(request));
      entry(metadata, request.params);
      const { [request.params.key!]: _removed, ...rest } = metadata;
      await setMetadata(request, rest);
    },
  },
];

interface CreateBody {
  readonly volume: {
    readonly size?: number | string | null;
    readonly name?: string | null;
    readonly display_name?: string | null;
    readonly description?: string | null;
    readonly display_description?: string | null;
    readonly volume_type?: string | null;
    readonly availability_zone?: string | null;
    readonly metadata?: Record<string, string> | null;
    readonly imageRef?: string | null;
    readonly multiattach?: boolean | null;
    readonly snapshot_id?: string | null;
    readonly source_volid?: string | null;
    readonly backup_id?: string | null;
  };
}

async function create(request: OpRequest<CreateBody>): Promise<unknown> {
  const { volume } = request.body;
  if (volume.snapshot_id) throw notFound(`Snapshot ${volume.snapshot_id} could not be found.`);
  if (volume.backup_id) throw notFound(`Backup ${volume.backup_id} could not be found.`);
  if (volume.source_volid) {
    await visibleVolume(request.app.store.read, request.ctx, volume.source_volid);
    throw badRequest('Invalid input received: volumes cannot be cloned in this release.');
  }
  const created = await createVolume(request.app, request.ctx, {
    size: volume.size === undefined || volume.size === null ? null : Number(volume.size),
    name: volume.name ?? volume.display_name ?? null,
    description: volume.description ?? volume.display_description ?? null,
    volume_type: volume.volume_type ?? null,
    availability_zone: volume.availability_zone ?? null,
    metadata: volume.metadata ?? {},
    imageRef: volume.imageRef || null,
    multiattach: volume.multiattach ?? false,
  });
  return { volume: volumeView(created, request, true) };
}

async function update(request: OpRequest<{ volume: Record<string, unknown> }>): Promise<unknown> {
  const { volume } = request.body;
  const name = volume.name ?? volume.display_name;
  const description = volume.description ?? volume.display_description;
  const changed = await changeVolume(request.app, request.ctx, request.params.volume_id!, {
    ...(name === undefined ? {} : { name: (name as string | null)?.trim() ?? null }),
    ...(description === undefined ? {} : { description: description as string | null }),
    ...(volume.metadata ? { metadata: volume.metadata as Record<string, string> } : {}),
  });
  return { volume: volumeView(changed, request, true) };
}

function found({ app, ctx, params }: OpRequest) {
  return visibleVolume(app.store.read, ctx, params.volume_id!);
}

function metadataOf(volume: { readonly metadata: string }): Record<string, string> {
  return JSON.parse(volume.metadata);
}

function entry(metadata: Record<string, string>, params: OpRequest['params']): string {
  const value = Object.hasOwn(metadata, params.key!) ? metadata[params.key!] : undefined;
  if (value === undefined)
    throw notFound(`Volume ${params.volume_id} has no metadata with key ${params.key}.`);
  return value;
}

async function setMetadata({ app, ctx, params }: OpRequest, metadata: Record<string, string>) {
  const changed = await changeVolume(app, ctx, params.volume_id!, { metadata });
  return metadataOf(changed);
}
