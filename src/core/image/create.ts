import { randomUUID } from 'node:crypto';
import {
  countImages,
  type FullImage,
  findImage,
  insertImage,
  replaceImageProperties,
  replaceImageTags,
} from '../../store/image.js';
import { isUniqueViolation, nowText } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict, forbidden, MaruError } from '../errors.js';
import { checkQuota } from '../quota/quota.js';
import { IMAGE_QUOTA_DEFAULTS } from './quota.js';

/** What a client may say about a new image; custom properties apart. */
export interface NewImage {
  readonly id?: string;
  readonly name?: string | null;
  readonly owner?: string | null;
  readonly visibility?: string;
  readonly protected?: boolean;
  readonly os_hidden?: boolean;
  readonly container_format?: string | null;
  readonly disk_format?: string | null;
  readonly min_disk?: number;
  readonly min_ram?: number;
  readonly tags?: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
}

/** Registers an image without data (`queued`). 403 for public or foreign ones of others than administrators, 409 for a used id. */
export async function createImage(app: App, ctx: Context, input: NewImage): Promise<FullImage> {
  if (input.visibility === 'public') ctx.authorize('publicize_image');
  if (input.visibility === 'community') ctx.authorize('communitize_image');
  const owner = input.owner ?? ctx.projectId;
  if (owner !== ctx.projectId && !ctx.isAdmin) {
    throw forbidden(`You are not permitted to create images owned by '${owner}'.`);
  }
  const id = input.id ?? randomUUID();
  const at = nowText();
  try {
    return await app.store.tx(async (tx) => {
      await checkQuota(tx, app.store, {
        projectId: owner,
        service: 'image',
        resource: 'image_count_total',
        used: async () => (await countImages(tx, owner)).count,
        adding: 1,
        fallback: IMAGE_QUOTA_DEFAULTS.image_count_total,
        refuse: (use) => new MaruError('too-large', `Image quota exceeded: limit is ${use.limit} images.`),
      });
      await insertImage(tx, {
        id,
        name: input.name ?? null,
        owner,
        status: 'queued',
        visibility: input.visibility ?? 'shared',
        protected: input.protected ? 1 : 0,
        os_hidden: input.os_hidden ? 1 : 0,
        container_format: input.container_format ?? null,
        disk_format: input.disk_format ?? null,
        min_disk: input.min_disk ?? 0,
        min_ram: input.min_ram ?? 0,
        size: null,
        virtual_size: null,
        checksum: null,
        sha512: null,
        unbootable_reason: null,
        file_name: null,
        created_at: at,
        updated_at: at,
        deleted: 0,
      });
      await replaceImageProperties(tx, id, input.properties);
      await replaceImageTags(tx, id, input.tags ?? []);
      return (await findImage(tx, id))!;
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw conflict(`Image ID ${id} already exists!`);
    throw error;
  }
}
