import { randomUUID } from 'node:crypto';
import type { ImageRef } from '../../protocol/objects.js';
import type { FullImage } from '../../store/image.js';
import { nowText, recordChange, type Tx } from '../../store/store.js';
import {
  countVolumes,
  findVolume,
  findVolumeType,
  insertVolume,
  type VolumeRow,
} from '../../store/volume.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, notFound, overQuota } from '../errors.js';
import { visibleImage } from '../image/visibility.js';
import { checkQuota } from '../quota/quota.js';
import { DEFAULT_ZONE, NO_WISHES } from '../scheduler/candidate.js';
import { placeServer } from '../scheduler/place.js';
import { recordOf } from '../scheduler/record.js';
import { VOLUME_QUOTA_DEFAULTS } from './quota.js';

const GIB = 1024 ** 3;

/** What a client may say about a new volume. */
export interface NewVolume {
  readonly size: number | null;
  readonly name: string | null;
  readonly description: string | null;
  readonly volume_type: string | null;
  readonly availability_zone: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly imageRef: string | null;
  readonly multiattach: boolean;
}

/**
 * Creates a volume: quota, host and row in one transaction; its host then makes the file and reports. 400 for an unusable
 * image or a size below it, 413 over quota. A volume that fits on no host is in error, with each host's reasons kept.
 */
export async function createVolume(app: App, ctx: Context, input: NewVolume): Promise<VolumeRow> {
  const image = input.imageRef === null ? null : await usableImage(app, ctx, input.imageRef);
  const size = checkedSize(input.size, image);
  const typeName = input.volume_type ?? '__DEFAULT__';
  const type = await findVolumeType(app.store.read, typeName);
  if (!type) throw notFound(`Volume type ${typeName} could not be found.`);
  const id = randomUUID();
  return await app.store.tx(async (tx) => {
    await claimQuota(tx, app, ctx.projectId, size);
    const placement = await placeServer(
      tx,
      app,
      { id, project_id: ctx.projectId, user_id: ctx.userId },
      {
        ...NO_WISHES,
        resources: { DISK_GB: size },
        project_id: ctx.projectId,
        availability_zone: input.availability_zone,
        image: image && { size: image.size ?? 0, properties: {} },
      },
    );
    const none = placement.hostId === null;
    await insertVolume(tx, {
      id,
      project_id: ctx.projectId,
      user_id: ctx.userId,
      name: input.name,
      description: input.description,
      size_gb: size,
      volume_type_id: type.id,
      availability_zone: input.availability_zone ?? DEFAULT_ZONE,
      metadata: JSON.stringify(input.metadata),
      multiattach: input.multiattach ? 1 : 0,
      host_id: placement.hostId,
      image: image && JSON.stringify(imageRef(image)),
      image_metadata: image && JSON.stringify(imageMetadata(image)),
      bootable: image ? 1 : 0,
      status: none ? 'error' : 'creating',
      fault: none ? JSON.stringify({ message: 'No valid host was found for the volume.' }) : null,
      placement: recordOf(placement),
      delete_requested_at: null,
      created_at: nowText(),
      updated_at: null,
    });
    await recordChange(tx, 'volume', id, ctx.requestId);
    return (await findVolume(tx, id))!;
  });
}

async function usableImage(app: App, ctx: Context, imageId: string): Promise<FullImage> {
  const image = await visibleImage(app.store.read, ctx, imageId).catch(() => null);
  if (!image) throw badRequest(`Invalid image identifier or unable to access requested image.`);
  if (image.status !== 'active') throw badRequest(`Invalid input received: Image ${imageId} is not active.`);
  if (image.unbootable_reason) throw badRequest(`Invalid input received: ${image.unbootable_reason}.`);
  return image;
}

function checkedSize(asked: number | null, image: FullImage | null): number {
  const least = image ? Math.max(image.min_disk, Math.ceil((image.virtual_size ?? 0) / GIB)) : 1;
  if (asked === null) {
    if (image) return least;
    throw badRequest("Invalid input received: Volume size 'None' must be an integer and greater than 0");
  }
  if (image && asked < least) {
    throw badRequest(
      `Invalid input received: Volume size ${asked}GB cannot be smaller than the image ${image.min_disk > asked ? 'minDisk' : ''} size ${least}GB.`.replace(
        '  ',
        ' ',
      ),
    );
  }
  return asked;
}

async function claimQuota(tx: Tx, app: App, projectId: string, size: number): Promise<void> {
  const claim = { projectId, service: 'volume' as const };
  await checkQuota(tx, app.store, {
    ...claim,
    resource: 'per_volume_gigabytes',
    used: 0,
    adding: size,
    fallback: VOLUME_QUOTA_DEFAULTS.per_volume_gigabytes,
    refuse: (use) =>
      overQuota(
        `VolumeSizeExceedsLimit: Requested volume size ${size}G is larger than maximum allowed limit ${use.limit}G.`,
        { status: 413 },
      ),
  });
  await checkQuota(tx, app.store, {
    ...claim,
    resource: 'volumes',
    used: async () => (await countVolumes(tx, projectId)).volumes,
    adding: 1,
    fallback: VOLUME_QUOTA_DEFAULTS.volumes,
    refuse: (use) =>
      overQuota(
        `VolumeLimitExceeded: Maximum number of volumes allowed (${use.limit}) exceeded for quota 'volumes'.`,
        { status: 413 },
      ),
  });
  await checkQuota(tx, app.store, {
    ...claim,
    resource: 'gigabytes',
    used: async () => (await countVolumes(tx, projectId)).gigabytes,
    adding: size,
    fallback: VOLUME_QUOTA_DEFAULTS.gigabytes,
    refuse: (use) =>
      overQuota(
        `VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested ${size}G, quota is ${use.limit}G and ${use.used}G has been consumed.`,
        { status: 413 },
      ),
  });
}

function imageRef(image: FullImage): ImageRef {
  return {
    id: image.id,
    disk_format: image.disk_format as ImageRef['disk_format'],
    size: image.size!,
    sha512: image.sha512!,
  };
}

function imageMetadata(image: FullImage): Record<string, string> {
  return {
    ...image.properties,
    image_id: image.id,
    image_name: image.name ?? '',
    checksum: image.checksum ?? '',
    container_format: image.container_format ?? '',
    disk_format: image.disk_format ?? '',
    min_disk: String(image.min_disk),
    min_ram: String(image.min_ram),
    size: String(image.size ?? 0),
  };
}
