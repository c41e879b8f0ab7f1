import { findImage, markImageDeleted } from '../../store/image.js';
import { nowText, recordChange } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { forbidden, notFound } from '../errors.js';
import { ownImage } from './visibility.js';

/**
 * Deletes an image. Hosts that have servers based on it keep their verified copies, so the controller's can go at once; should this
 * process end before, another one removes it.
 */
export async function deleteImage(app: App, ctx: Context, id: string): Promise<void> {
  const found = await findImage(app.store.read, id);
  if (!found) throw notFound(`Failed to find image ${id} to delete`);
  const image = await ownImage(app.store.read, ctx, id);
  if (image.protected) throw forbidden(`Image ${id} is protected and cannot be deleted.`);
  const object = { kind: 'image', id };
  const task = await app.store.tx(async (tx) => {
    const file = await markImageDeleted(tx, id, nowText());
    await recordChange(tx, 'image', id, ctx.requestId);
    // an upload under way finds the image gone, and takes away what it wrote
    if (file === null || (await app.tasks.isActive(tx, object))) return null;
    return await app.tasks.begin(tx, {
      kind: 'image.delete',
      object,
      payload: { file },
      projectId: image.owner,
      requestId: ctx.requestId,
    });
  });
  if (task) await app.tasks.finish(task);
}
