import {
  deleteImageMember,
  type FullImage,
  type ImageMemberRow,
  insertImageMember,
  listImageMembers,
  updateImageMember,
} from '../../store/image.js';
import { isUniqueViolation, nowText } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict, forbidden, notFound } from '../errors.js';
import { visibleImage } from './visibility.js';

/** The projects a shared image was offered to: all for its owner, only itself for a member. */
export async function imageMembers(app: App, ctx: Context, imageId: string): Promise<ImageMemberRow[]> {
  const image = await visibleImage(app.store.read, ctx, imageId);
  const members = await listImageMembers(app.store.read, image.id);
  if (owns(ctx, image)) {
    if (image.visibility !== 'shared') throw forbidden('Only shared images have members.');
    return members;
  }
  const own = members.filter((m) => m.member_id === ctx.projectId);
  if (own.length === 0) throw notFound(`No image found with ID ${imageId}`);
  return own;
}

export async function imageMember(
  app: App,
  ctx: Context,
  imageId: string,
  memberId: string,
): Promise<ImageMemberRow> {
  const image = await visibleImage(app.store.read, ctx, imageId);
  const found = (await listImageMembers(app.store.read, image.id)).find((m) => m.member_id === memberId);
  if (!found || (!owns(ctx, image) && memberId !== ctx.projectId)) {
    throw notFound(`${memberId} not found in the member list of the image ${imageId}.`);
  }
  return found;
}

export async function addImageMember(
  app: App,
  ctx: Context,
  imageId: string,
  memberId: string,
): Promise<ImageMemberRow> {
  const image = await visibleImage(app.store.read, ctx, imageId);
  if (!owns(ctx, image)) throw forbidden('You are not permitted to create image members for the image.');
  if (image.visibility !== 'shared') throw forbidden('Only shared images have members.');
  const at = nowText();
  const row = { image_id: image.id, member_id: memberId, status: 'pending', created_at: at, updated_at: at };
  try {
    await app.store.tx((tx) => insertImageMember(tx, row));
  } catch (error) {
    if (isUniqueViolation(error)) throw conflict(`Member ${memberId} is duplicated for image ${imageId}`);
    throw error;
  }
  return row;
}

/** A member answers the offer: pending, accepted or rejected. The owner cannot answer for it. */
export async function answerImageOffer(
  app: App,
  ctx: Context,
  imageId: string,
  memberId: string,
  status: string,
): Promise<ImageMemberRow> {
  const member = await imageMember(app, ctx, imageId, memberId);
  if (!ctx.isAdmin && memberId !== ctx.projectId) throw forbidden("You can't modify this member.");
  const row = { ...member, status, updated_at: nowText() };
  await app.store.tx((tx) => updateImageMember(tx, row));
  return row;
}

export async function removeImageMember(
  app: App,
  ctx: Context,
  imageId: string,
  memberId: string,
): Promise<void> {
  const image = await visibleImage(app.store.read, ctx, imageId);
  if (!owns(ctx, image)) throw forbidden(`You cannot delete members of image ${image.id}.`);
  await imageMember(app, ctx, imageId, memberId);
  await app.store.tx((tx) => deleteImageMember(tx, image.id, memberId));
}

function owns(ctx: Context, image: FullImage): boolean {
  return ctx.reaches(image.owner);
}
