import type { Readable } from 'node:stream';
import { badRequest, forbidden, MaruError } from '../../core/errors.js';
import { uploadImage } from '../../core/image/upload.js';
import { visibleImage } from '../../core/image/visibility.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';

export const fileOperations: readonly Operation[] = [
  {
    method: 'PUT',
    path: '/v2/images/:image_id/file',
    policy: { name: 'upload_image', rule: 'rule:project_member_or_admin' },
    summary: 'Upload image data',
    status: 204,
    stream: true,
    handler: upload,
  },
  {
    method: 'GET',
    path: '/v2/images/:image_id/file',
    policy: { name: 'download_image', rule: 'rule:project_member_or_admin' },
    summary: 'Download image data',
    status: 200,
    handler: download,
  },
];

async function upload({ app, ctx, params, raw, body }: OpRequest): Promise<OpReply> {
  const type = raw.headers['content-type']?.split(';')[0];
  if (type !== 'application/octet-stream') {
    throw new MaruError(
      'unsupported-media-type',
      `The request media type ${type ?? ''} is not supported by this server.`,
    );
  }
  await uploadImage(app, ctx, params.image_id!, body as Readable);
  return new OpReply(204, undefined, { 'content-type': 'text/html; charset=UTF-8' });
}

async function download({ app, ctx, params, raw }: OpRequest): Promise<OpReply> {
  const image = await visibleImage(app.store.read, ctx, params.image_id!);
  if (image.status === 'deactivated' && !ctx.isAdmin) {
    throw forbidden('The requested image has been deactivated. Image data download is forbidden.');
  }
  if (image.size === null) return new OpReply(204);
  const range = parseRange(raw.headers.range, image.size);
  const { stream, size } = await app.images.open(image, range);
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
  };
  if (range) {
    headers['content-length'] = String(range.end - range.start + 1);
    headers['content-range'] = `bytes ${range.start}-${range.end}/${size}`;
    return new OpReply(206, stream, headers);
  }
  return new OpReply(200, stream, {
    ...headers,
    'content-length': String(size),
    ...(image.checksum ? { 'content-md5': image.checksum } : {}),
  });
}

/** One byte range (RFC 9110 §14); undefined without the header, 400 for what cannot be served. */
function parseRange(header: string | undefined, size: number): { start: number; end: number } | undefined {
  if (!header) return undefined;
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? [];
  if (first === undefined || (first === '' && last === '')) throw badRequest(`Invalid range ${header}`);
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start > end)
    throw new MaruError('bad-request', `Range ${header} lies outside of ${size} bytes`, { status: 416 });
  return { start, end };
}
