import { type FullImage, findImage, isImageMember } from '../../store/image.js';
import type { Reader } from '../../store/store.js';
import type { Context } from '../context.js';
import { forbidden, type MaruError, notFound } from '../errors.js';

/** An image that the caller may see; 404 for others', as if they did not exist. */
export async function visibleImage(db: Reader, ctx: Context, id: string): Promise<FullImage> {
  const image = await findImage(db, id);
  if (!image || !(await canSee(db, ctx, image))) throw imageNotFound(id);
  return image;
}

/** An image that the request reaches, not only sees: 403 for one that is public, or shared with the caller. */
export async function ownImage(db: Reader, ctx: Context, id: string): Promise<FullImage> {
  const image = await visibleImage(db, ctx, id);
  if (!ctx.reaches(image.owner)) throw forbidden(`You are not permitted to modify this image ${id}.`);
  return image;
}

export function imageNotFound(id: string): MaruError {
  return notFound(`No image found with ID ${id}`);
}

/** Whether an image of another project is shown to the token's: it is everybody's to use, or shared with it. */
export async function isSharedImage(
  db: Reader,
  ctx: Context,
  { id, visibility }: Pick<FullImage, 'id' | 'visibility'>,
): Promise<boolean> {
  if (visibility === 'public' || visibility === 'community') return true;
  return visibility === 'shared' && (await isImageMember(db, id, ctx.projectId));
}

async function canSee(db: Reader, ctx: Context, image: FullImage): Promise<boolean> {
  return ctx.reaches(image.owner) || (await isSharedImage(db, ctx, image));
}
