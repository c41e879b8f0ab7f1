import type { TaskKind } from '../../../tasks/kind.js';
import type { App } from '../../app.js';

export type ImageDeletePayload = {
  /** The deleted image's file. */
  readonly file: string;
};

/** Removes the bytes of an image that was deleted in the transaction that began this. */
export function imageDeleteKind(app: App): TaskKind<ImageDeletePayload> {
  return {
    name: 'image.delete',
    first: 'unlink',
    deadline: null,
    uncancellable: 'the image is deleted already',
    steps: {
      unlink: {
        effect: async (task) => await app.images.remove(task.payload.file),
        run: async () => ({ end: 'done' }),
      },
    },
  };
}
