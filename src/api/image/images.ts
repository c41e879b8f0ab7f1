import { badRequest, forbidden, MaruError } from '../../core/errors.js';
import { createImage } from '../../core/image/create.js';
import { deleteImage } from '../../core/image/delete.js';
import { changeImage, type ImageChange, READ_ONLY, setImageActive } from '../../core/image/update.js';
import { visibleImage } from '../../core/image/visibility.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { validate } from '../shared/validate.js';
import { listImagesPage } from './list.js';
import { CREATE_IMAGE, PATCH_IMAGE, SETTABLE } from './schemas.js';
import { imageView } from './view.js';

const MEMBER = 'rule:project_member_or_admin';
const READER = 'rule:project_reader_or_admin';

export const imageOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2/images',
    policy: { name: 'get_images', rule: READER },
    summary: 'List images',
    status: 200,
    handler: listImagesPage,
  },
  {
    method: 'POST',
    path: '/v2/images',
    policy: { name: 'add_image', rule: MEMBER },
    summary: 'Create an image',
    status: 201,
    // read-only attributes are 403, not 400: checked before the schema
    handler: create,
  },
  {
    method: 'GET',
    path: '/v2/images/:image_id',
    policy: { name: 'get_image', rule: READER },
    summary: 'Show an image',
    status: 200,
    handler: async ({ app, ctx, params }) =>
      imageView(await visibleImage(app.store.read, ctx, params.image_id!)),
  },
  {
    method: 'PATCH',
    path: '/v2/images/:image_id',
    policy: { name: 'modify_image', rule: MEMBER },
    summary: 'Update an image',
    status: 200,
    handler: patch,
  },
  {
    method: 'DELETE',
    path: '/v2/images/:image_id',
    policy: { name: 'delete_image', rule: MEMBER },
    summary: 'Delete an image',
    status: 204,
    handler: async ({ app, ctx, params }) => await deleteImage(app, ctx, params.image_id!),
  },
  ...(['deactivate', 'reactivate'] as const).map(
    (action): Operation => ({
      method: 'POST',
      path: `/v2/images/:image_id/actions/${action}`,
      policy: { name: action, rule: MEMBER },
      summary: `${action === 'deactivate' ? 'Deactivate' : 'Reactivate'} an image`,
      status: 204,
      handler: async ({ app, ctx, params }) => {
        await setImageActive(app, ctx, params.image_id!, action === 'reactivate');
      },
    }),
  ),
];

async function create({ app, ctx, body, baseUrl }: OpRequest<Record<string, unknown>>): Promise<OpReply> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('Malformed JSON in request body.');
  for (const name of Object.keys(body)) {
    if (name !== 'id' && (READ_ONLY.has(name) || name === 'locations')) {
      throw forbidden(`Attribute '${name}' is ${name === 'locations' ? 'reserved' : 'read-only'}.`);
    }
    if (name.length > 255) throw badRequest('Custom property names can have at most 255 characters.');
  }
  validateAs('image', CREATE_IMAGE, body);
  const settable = Object.fromEntries(Object.entries(body).filter(([name]) => name in SETTABLE));
  const properties = Object.fromEntries(
    Object.entries(body).filter(([name, value]) => !(name in SETTABLE) && value !== null),
  ) as Record<string, string>;
  const image = await createImage(app, ctx, { ...settable, properties });
  return new OpReply(201, imageView(image), {
    location: `${baseUrl}/v2/images/${image.id}`,
    'openstack-image-import-methods': '',
  });
}

async function patch({ app, ctx, body, params, raw }: OpRequest): Promise<unknown> {
  const type = raw.headers['content-type']?.split(';')[0];
  const known = /^application\/openstack-images-v2\.[01]-json-patch$/.test(type ?? '');
  if (!known) {
    throw new MaruError(
      'unsupported-media-type',
      `The request media type ${type ?? ''} is not supported by this server.`,
    );
  }
  const patches = type?.includes('v2.0') ? asNewerPatch(body) : body;
  validateAs('patch', PATCH_IMAGE, patches);
  const changes = (patches as { op: ImageChange['op']; path: string; value?: unknown }[]).map(toChange);
  return imageView(await changeImage(app, ctx, params.image_id!, changes));
}

/** Version 2.0 names the operation by the key of the path: `{"replace": "/name", "value": …}`. */
function asNewerPatch(body: unknown): unknown {
  if (!Array.isArray(body)) return body;
  return body.map((patch: Record<string, unknown> | null) => {
    const op = ['add', 'remove', 'replace'].find((name) => typeof patch?.[name] === 'string');
    if (!patch || !op) return patch;
    const { [op]: path, ...rest } = patch;
    return { op, path, ...rest };
  });
}

function toChange({
  op,
  path,
  value,
}: {
  op: ImageChange['op'];
  path: string;
  value?: unknown;
}): ImageChange {
  const name = path.slice(1).replaceAll('~1', '/').replaceAll('~0', '~');
  if (name === '' || path.slice(1).includes('/'))
    throw badRequest(`Invalid JSON pointer for this resource: '${path}'`);
  if (op === 'remove') return { op, name };
  if (value === undefined) throw badRequest(`Operation "${op}" requires a member named "value".`);
  const schema = (SETTABLE as Record<string, object>)[name];
  if (schema) validateAs('image', { type: 'object', properties: { [name]: schema } }, { [name]: value });
  return { op, name, value };
}

function validateAs(name: string, schema: Readonly<Record<string, unknown>>, value: unknown): void {
  try {
    validate(schema, value);
  } catch (error) {
    throw badRequest(`Provided object does not match schema '${name}': ${(error as Error).message}`);
  }
}
