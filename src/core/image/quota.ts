import { countImages } from '../../store/image.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { MaruError } from '../errors.js';
import { effectiveLimits } from '../quota/quota.js';

const GIB = 1024 ** 3;

/** Limits of a project that has none of its own; -1 is unlimited. Sizes in MiB, as Glance's registered limits have them. */
export const IMAGE_QUOTA_DEFAULTS = {
  image_count_total: 1000,
  image_size_total: 1_048_576,
} as const;

/** Bytes that a project may still upload; at most what one image may have. Throws 413 when there are none. */
export async function bytesLeft(app: App, db: Reader, projectId: string): Promise<number> {
  return Math.min(await quotaLeft(db, projectId), app.config.max_image_size_gb * GIB);
}

/** Bytes that a project's quota leaves for all its uploads, those under way included. Throws 413 when it leaves none. */
export async function quotaLeft(db: Reader, projectId: string): Promise<number> {
  const limits = await effectiveLimits(db, projectId, 'image', IMAGE_QUOTA_DEFAULTS);
  if (limits.image_size_total < 0) return Number.POSITIVE_INFINITY;
  const { bytes } = await countImages(db, projectId);
  const left = limits.image_size_total * 1024 ** 2 - bytes;
  if (left > 0) return left;
  throw new MaruError('too-large', `Image storage quota exceeded: limit is ${limits.image_size_total} MiB.`);
}
