import { Readable } from 'node:stream';
import { findImage, moveImageStatus } from '../../store/image.js';
import { nowText } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, MaruError } from '../errors.js';
import { bytesLeft, quotaLeft } from './quota.js';
import { SentBytes } from './sent.js';
import { removeUpload, type Upload, uploadsOf } from './tasks/upload.js';
import { countedUpload } from './under-way.js';
import { imageNotFound, ownImage } from './visibility.js';

/**
 * Streams the data of a queued image into the store, inspects it and activates the image. On any failure the image is
 * `queued` again and nothing stays on disk, also when this process ends. 409 when it has data already, 400 for content that is refused.
 */
export async function uploadImage(app: App, ctx: Context, id: string, source: Readable): Promise<void> {
  const image = await ownImage(app.store.read, ctx, id);
  if (image.disk_format === null || image.container_format === null) {
    throw badRequest('Properties disk_format, container_format must be set prior to saving data.');
  }
  const allowed = await bytesLeft(app, app.store.read, image.owner);
  const quota = await quotaLeft(app.store.read, image.owner);
  const task = await app.store.tx(async (tx) => {
    if (!(await moveImageStatus(tx, id, ['queued'], 'saving', { updated_at: nowText() }))) return null;
    return await app.tasks.begin(tx, {
      kind: 'image.upload',
      object: { kind: 'image', id },
      projectId: image.owner,
      requestId: ctx.requestId,
    });
  });
  if (!task) throw conflict(`Image status transition from ${image.status} to saving is not allowed`);
  const sent = new SentBytes(source);
  const counted = Readable.from(countedUpload(image.owner, sent, quota));
  const upload: Upload = { image, source: counted, allowed, error: null };
  uploadsOf(app).set(task.id, upload);
  try {
    await app.tasks.finish(task);
  } finally {
    uploadsOf(app).delete(task.id);
    void sent.drain();
    await sweep(app, id, task.id);
  }
  if (upload.error) throw upload.error;
  const stored = await findImage(app.store.read, id);
  // deleted while it was being uploaded
  if (!stored) throw imageNotFound(id);
  if (stored.status !== 'active') {
    throw new MaruError('unavailable', `The upload of image ${id} was interrupted; it can be repeated.`);
  }
}

/** Takes away what this process wrote when another one had undone the upload before all of it was written. */
async function sweep(app: App, imageId: string, taskId: string): Promise<void> {
  try {
    const task = await app.tasks.rows.find(app.store.read, taskId);
    // still this process's: whoever undoes it does so later, and takes it away
    if (task && task.finished_at === null && task.lease_owner === app.tasks.owner) return;
    await removeUpload(app, imageId, taskId);
  } catch (error) {
    app.log.warn('what an upload left could not be looked for', { image: imageId, task: taskId, error });
  }
}
