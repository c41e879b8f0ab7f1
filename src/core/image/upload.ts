import type { Readable } from 'node:stream';
import { countImages, type FullImage, listImagesInStatus, moveImageStatus } from '../../store/image.js';
import { nowText, type Reader, recordChange } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, MaruError } from '../errors.js';
import { effectiveLimits } from '../quota/quota.js';
import { compareFormats } from './inspect.js';
import { IMAGE_QUOTA_DEFAULTS } from './quota.js';
import { imageNotFound, ownImage } from './visibility.js';

const GIB = 1024 ** 3;

/**
 * Streams the data of a queued image into the store, inspects it and activates the image. On any failure the image is
 * `queued` again and nothing stays on disk. 409 when it has data already, 400 for content that is refused.
 */
export async function uploadImage(app: App, ctx: Context, id: string, source: Readable): Promise<void> {
  const image = await ownImage(app.store.read, ctx, id);
  if (image.disk_format === null || image.container_format === null) {
    throw badRequest('Properties disk_format, container_format must be set prior to saving data.');
  }
  const allowed = await bytesLeft(app, app.store.read, image.owner);
  const began = await app.store.tx((tx) =>
    moveImageStatus(tx, id, ['queued'], 'saving', { updated_at: nowText() }),
  );
  if (!began) throw conflict(`Image status transition from ${image.status} to saving is not allowed`);
  try {
    await receive(app, image, source, allowed);
  } catch (error) {
    await app.images.remove(id);
    await app.store.tx((tx) => moveImageStatus(tx, id, ['saving'], 'queued', { updated_at: nowText() }));
    throw error;
  }
}

/** An upload that has not got on for so long belongs to a controller that has ended. */
export const UPLOAD_IDLE_MS = 10 * 60_000;

/**
 * Uploads that the end of their controller cut off are queued again: those that have not got on for `idleMs`. 0, when this
 * controller is the only one and has just started: all.
 */
export async function resetInterruptedUploads(app: App, idleMs = 0): Promise<void> {
  await app.images.prepare(idleMs);
  const begunBefore = new Date(Date.now() - idleMs).toISOString();
  for (const image of await listImagesInStatus(app.store.read, ['saving'])) {
    if ((image.updated_at ?? image.created_at) > begunBefore) continue;
    if (idleMs > 0 && (await app.images.isUploading(image.id, idleMs))) continue;
    const reset = await app.store.tx((tx) =>
      moveImageStatus(tx, image.id, ['saving'], 'queued', { updated_at: nowText() }),
    );
    if (reset) await app.images.remove(image.id);
  }
}

async function receive(app: App, image: FullImage, source: Readable, allowed: number): Promise<void> {
  const stored = await app.images.write(image.id, source, allowed);
  const mismatch = compareFormats(image.disk_format!, stored.inspection);
  if (mismatch?.refuse) throw badRequest(`${mismatch.reason}.`);
  const virtualSize = stored.inspection.virtualSize ?? stored.size;
  const limit = app.config.max_virtual_size_gb * GIB;
  if (virtualSize > limit) {
    throw badRequest(
      `Image virtual size is ${virtualSize} bytes, more than the ${app.config.max_virtual_size_gb} GiB allowed.`,
    );
  }
  const activated = await app.store.tx(async (tx) => {
    // other uploads may have ended since this one began: counted again where the bytes are claimed
    await app.store.lockFamily(tx, image.owner, 'image');
    if (stored.size > (await bytesLeft(app, tx, image.owner))) {
      throw new MaruError('too-large', 'Image storage quota exceeded.');
    }
    const moved = await moveImageStatus(tx, image.id, ['saving'], 'active', {
      size: stored.size,
      virtual_size: virtualSize,
      checksum: stored.md5,
      sha512: stored.sha512,
      unbootable_reason: mismatch?.reason ?? null,
      updated_at: nowText(),
    });
    if (moved) await recordChange(tx, 'image', image.id);
    return moved;
  });
  // deleted while it was being uploaded
  if (!activated) throw imageNotFound(image.id);
}

async function bytesLeft(app: App, db: Reader, projectId: string): Promise<number> {
  const limits = await effectiveLimits(db, projectId, 'image', IMAGE_QUOTA_DEFAULTS);
  const most = app.config.max_image_size_gb * GIB;
  if (limits.image_size_total < 0) return most;
  const { bytes } = await countImages(db, projectId);
  const left = limits.image_size_total * 1024 ** 2 - bytes;
  if (left <= 0)
    throw new MaruError(
      'too-large',
      `Image storage quota exceeded: limit is ${limits.image_size_total} MiB.`,
    );
  return Math.min(left, most);
}
