import {
  type FullImage,
  findImage,
  moveImageStatus,
  replaceImageProperties,
  replaceImageTags,
  updateImage,
} from '../../store/image.js';
import { nowText, recordChange } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict, forbidden, notFound } from '../errors.js';
import { ownImage } from './visibility.js';

/** One step of a change: set, add or remove one attribute or custom property. */
export interface ImageChange {
  readonly op: 'add' | 'replace' | 'remove';
  readonly name: string;
  readonly value?: unknown;
}

/** Attributes that clients may change and their kind in the database. */
const EDITABLE: Readonly<Record<string, 'text' | 'number' | 'flag' | 'tags'>> = {
  name: 'text',
  visibility: 'text',
  container_format: 'text',
  disk_format: 'text',
  owner: 'text',
  min_disk: 'number',
  min_ram: 'number',
  protected: 'flag',
  os_hidden: 'flag',
  tags: 'tags',
};

export const READ_ONLY: ReadonlySet<string> = new Set([
  'id',
  'status',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'size',
  'virtual_size',
  'created_at',
  'updated_at',
  'self',
  'file',
  'schema',
  'direct_url',
  'stores',
  'deleted',
  'deleted_at',
]);

/** Applies changes in order; all or none. 403 for read-only and administrators' attributes. */
export async function changeImage(
  app: App,
  ctx: Context,
  id: string,
  changes: readonly ImageChange[],
): Promise<FullImage> {
  const image = await ownImage(app.store.read, ctx, id);
  const values: Record<string, unknown> = {};
  let properties: Record<string, string> | undefined;
  let tags: readonly string[] | undefined;
  for (const change of changes) {
    if (READ_ONLY.has(change.name)) throw forbidden(`Attribute '${change.name}' is read-only.`);
    if (change.name === 'locations') throw forbidden("It's not allowed to change locations of this image.");
    const kind = EDITABLE[change.name];
    if (!kind) {
      properties ??= { ...image.properties };
      applyProperty(properties, change);
    } else if (change.op === 'remove') {
      throw forbidden(`Attribute '${change.name}' is reserved and cannot be removed.`);
    } else if (kind === 'tags') {
      tags = change.value as string[];
    } else {
      checkAttribute(ctx, image, change);
      values[change.name] = kind === 'flag' ? Number(change.value) : change.value;
    }
  }
  return await app.store.tx(async (tx) => {
    await updateImage(tx, id, { ...values, updated_at: nowText() });
    if (properties) await replaceImageProperties(tx, id, properties);
    if (tags) await replaceImageTags(tx, id, tags);
    await recordChange(tx, 'image', id, ctx.requestId);
    return (await findImage(tx, id))!;
  });
}

/** Takes an active image out of use (its data cannot be read) or back into it; repeating it is no error. */
export async function setImageActive(app: App, ctx: Context, id: string, active: boolean): Promise<void> {
  const image = await ownImage(app.store.read, ctx, id);
  const [from, to] = active ? ['deactivated', 'active'] : ['active', 'deactivated'];
  if (image.status === to) return;
  const moved = await app.store.tx((tx) => moveImageStatus(tx, id, [from!], to!, { updated_at: nowText() }));
  if (!moved)
    throw forbidden(
      `Not allowed to ${active ? 'reactivate' : 'deactivate'} image in status '${image.status}'`,
    );
}

function checkAttribute(ctx: Context, image: FullImage, { name, value }: ImageChange): void {
  if (name === 'visibility' && value === 'public' && image.visibility !== 'public')
    ctx.authorize('publicize_image');
  if (name === 'visibility' && value === 'community' && image.visibility !== 'community')
    ctx.authorize('communitize_image');
  if (name === 'owner' && value !== image.owner && !ctx.isAdmin) {
    throw forbidden(`Owner can't be updated by non admin.`);
  }
  const fixed = name === 'disk_format' || name === 'container_format';
  if (fixed && image.status !== 'queued' && value !== image[name as 'disk_format']) {
    throw forbidden(`Attribute ${name} can be only replaced for a queued image.`);
  }
}

function applyProperty(properties: Record<string, string>, change: ImageChange): void {
  const { op, name } = change;
  if (op === 'remove') {
    if (!(name in properties)) throw conflict(`Property ${name} does not exist.`);
    delete properties[name];
    return;
  }
  if (op === 'replace' && !(name in properties)) throw conflict(`Property ${name} does not exist.`);
  if (typeof change.value !== 'string') throw badRequest(`Property ${name} must be a string.`);
  properties[name] = change.value;
}

/** Adds or removes one tag. */
export async function setImageTag(
  app: App,
  ctx: Context,
  id: string,
  tag: string,
  present: boolean,
): Promise<void> {
  const image = await ownImage(app.store.read, ctx, id);
  if (!present && !image.tags.includes(tag)) throw notFound('The resource could not be found.');
  const others = image.tags.filter((t) => t !== tag);
  if (present && others.length >= 128) throw badRequest('Too many tags: an image holds at most 128.');
  await app.store.tx(async (tx) => {
    await replaceImageTags(tx, id, present ? [...others, tag] : others);
    await updateImage(tx, id, { updated_at: nowText() });
  });
}
