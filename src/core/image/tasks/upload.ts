import type { Readable } from 'node:stream';
import { type FullImage, moveImageStatus, takeImageFile } from '../../../store/image.js';
import { nowText, recordChange, type Tx } from '../../../store/store.js';
import type { Outcome, Task, TaskKind } from '../../../tasks/kind.js';
import type { Tasks } from '../../../tasks/tasks.js';
import type { App } from '../../app.js';
import { badRequest, MaruError } from '../../errors.js';
import type { StoredFile } from '../files.js';
import { compareFormats } from '../inspect.js';
import { bytesLeft } from '../quota.js';

const GIB = 1024 ** 3;

/** An upload whose client is connected to this process. */
export interface Upload {
  readonly image: FullImage;
  readonly source: Readable;
  /** Bytes that the project's quota has left. */
  readonly allowed: number;
  /** Why it failed, for the client. */
  error: Error | null;
}

/** What came of receiving: the file, and why guests cannot boot from it. */
interface Received {
  readonly stored: StoredFile;
  readonly virtualSize: number;
  readonly unbootable: string | null;
}

const uploads = new WeakMap<Tasks, Map<string, Upload>>();

/** The uploads that this process receives, by their tasks' ids. */
export function uploadsOf(app: App): Map<string, Upload> {
  let known = uploads.get(app.tasks);
  if (!known) {
    known = new Map();
    uploads.set(app.tasks, known);
  }
  return known;
}

/** The name of the file that an upload writes: its own for good, so that whoever wakes late meets no other upload's. */
export function uploadFile(imageId: string, taskId: string): string {
  return `${imageId}.${taskId}`;
}

/** Removes what an upload wrote, unless it is the image's file: then the upload went well, whatever was heard of it. */
export async function removeUpload(app: App, imageId: string, taskId: string): Promise<void> {
  const name = uploadFile(imageId, taskId);
  // the row is taken, so a commit under way is waited for
  const kept = await app.store.tx((tx) => takeImageFile(tx, imageId));
  if (kept !== name) await app.images.remove(name);
}

/**
 * Receives an image's bytes and activates it. Only the process that the client is connected to can; another one that takes the task over
 * undoes it: the image is queued again and what was written is removed.
 */
export function uploadKind(app: App): TaskKind {
  // what a process received dies with it
  const mine = uploadsOf(app);
  return {
    name: 'image.upload',
    first: 'receive',
    deadline: null,
    uncancellable: null,
    steps: {
      receive: {
        effect: async (task, signal) => await receive(app, task.id, mine.get(task.id), signal),
        run: async (tx, task, received) =>
          await activate(app, tx, task, mine.get(task.id), received as Received | null),
        undoEffect: async (task) => await removeUpload(app, task.object.id, task.id),
        undo: async (tx, task) => {
          await moveImageStatus(tx, task.object.id, ['saving'], 'queued', { updated_at: nowText() });
          return undefined;
        },
      },
    },
  };
}

/** Null when there is nothing to activate; the reason is the client's to see. */
async function receive(
  app: App,
  taskId: string,
  upload: Upload | undefined,
  signal: AbortSignal,
): Promise<Received | null> {
  if (!upload) return null;
  const { image, source } = upload;
  const abort = () => source.destroy(signal.reason as Error);
  signal.addEventListener('abort', abort);
  try {
    const stored = await app.images.write(uploadFile(image.id, taskId), source, upload.allowed);
    const mismatch = compareFormats(image.disk_format!, stored.inspection);
    if (mismatch?.refuse) throw badRequest(`${mismatch.reason}.`);
    const virtualSize = stored.inspection.virtualSize ?? stored.size;
    if (virtualSize > app.config.max_virtual_size_gb * GIB) {
      throw badRequest(
        `Image virtual size is ${virtualSize} bytes, more than the ${app.config.max_virtual_size_gb} GiB allowed.`,
      );
    }
    return { stored, virtualSize, unbootable: mismatch?.reason ?? null };
  } catch (error) {
    upload.error = error as Error;
    return null;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function activate(
  app: App,
  tx: Tx,
  task: Task,
  upload: Upload | undefined,
  received: Received | null,
): Promise<Outcome> {
  if (!upload) return { undo: 'the controller that received it ended before all of it had come' };
  if (!received) return { undo: upload.error?.message ?? 'it was not received' };
  const { image } = upload;
  const { stored } = received;
  // other uploads may have ended since this one began: counted again where the bytes are claimed
  await app.store.lockFamily(tx, image.owner, 'image');
  try {
    if (stored.size > (await bytesLeft(app, tx, image.owner)))
      throw new MaruError('too-large', 'Image storage quota exceeded.');
  } catch (error) {
    if (!(error instanceof MaruError)) throw error;
    upload.error = error;
    return { undo: error.message };
  }
  const activated = await moveImageStatus(tx, image.id, ['saving'], 'active', {
    size: stored.size,
    virtual_size: received.virtualSize,
    checksum: stored.md5,
    sha512: stored.sha512,
    unbootable_reason: received.unbootable,
    file_name: uploadFile(image.id, task.id),
    updated_at: nowText(),
  });
  if (!activated) return { undo: 'the image was deleted meanwhile' };
  await recordChange(tx, 'image', image.id, task.requestId);
  return { end: 'done' };
}
