import { badRequest } from '../../core/errors.js';
import { findImage, type ImageListOptions, listImages } from '../../store/image.js';
import type { OpRequest } from '../shared/operation.js';
import { lastValue } from '../shared/query.js';
import { CONTAINER_FORMATS, DISK_FORMATS } from './schemas.js';
import { imageView } from './view.js';

const SORT_KEYS = [
  'name',
  'status',
  'container_format',
  'disk_format',
  'size',
  'id',
  'created_at',
  'updated_at',
];
const DEFAULT_LIMIT = 25;
const MAX_LIMIT = 1000;
/** Query keys that are no filters on custom properties. */
const CONTROL = new Set([
  'limit',
  'marker',
  'sort',
  'sort_key',
  'sort_dir',
  'tag',
  'visibility',
  'member_status',
  'size_min',
  'size_max',
  'os_hidden',
  'created_at',
  'updated_at',
  'protected',
]);
const COLUMNS = new Set([
  'name',
  'status',
  'container_format',
  'disk_format',
  'owner',
  'id',
  'min_ram',
  'min_disk',
  'checksum',
]);
const OPERATORS = { eq: '=', neq: '!=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

/** GET /v2/images: filters, sorting, keyset paging with `first` and `next`. */
export async function listImagesPage({ app, ctx, query }: OpRequest): Promise<unknown> {
  const limit = parseLimit(lastValue(query.limit));
  const marker = lastValue(query.marker);
  const found = marker === undefined ? null : await findImage(app.store.read, marker);
  if (marker !== undefined && !found) throw badRequest(`No image found with ID ${marker}`);
  const options: ImageListOptions = {
    ...filters(query),
    scope: {
      projectId: ctx.listScope('get_images'),
      visibility: checked('visibility', lastValue(query.visibility), [
        'public',
        'private',
        'shared',
        'community',
        'all',
      ]),
      memberStatus: checked('member_status', lastValue(query.member_status), [
        'pending',
        'accepted',
        'rejected',
        'all',
      ]),
    },
    hidden: flag(lastValue(query.os_hidden)) ?? false,
    sort: sorting(query),
    marker: found as Record<string, unknown> | null,
    limit: limit + 1,
  };
  const rows = limit === 0 ? [] : await listImages(app.store.read, options);
  const page = rows.slice(0, limit);
  const base = pageQuery(query);
  const body: Record<string, unknown> = {
    images: page.map(imageView),
    first: `/v2/images${base ? `?${base}` : ''}`,
    schema: '/v2/schemas/images',
  };
  if (rows.length > limit && page.length > 0) {
    body.next = `/v2/images?marker=${page.at(-1)!.id}${base ? `&${base}` : ''}`;
  }
  return body;
}

function filters(
  query: OpRequest['query'],
): Pick<ImageListOptions, 'filters' | 'tags' | 'properties' | 'sizeMin' | 'sizeMax' | 'times'> {
  const columns: Record<string, (string | number)[]> = {};
  const properties: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    if (CONTROL.has(name)) continue;
    const text = lastValue(value)!;
    if (!COLUMNS.has(name)) properties[name] = text;
    else if (name === 'min_ram' || name === 'min_disk') columns[name] = [integer(name, text)];
    else columns[name] = text.startsWith('in:') ? text.slice(3).split(',').map(unquote) : [text];
    checkFormat(name, columns[name]);
  }
  const isProtected = flag(lastValue(query.protected));
  if (isProtected !== undefined) columns.protected = [isProtected ? 1 : 0];
  return {
    filters: columns,
    properties,
    tags: query.tag === undefined ? [] : [query.tag].flat(),
    sizeMin: query.size_min === undefined ? undefined : integer('size_min', lastValue(query.size_min)!),
    sizeMax: query.size_max === undefined ? undefined : integer('size_max', lastValue(query.size_max)!),
    times: (['created_at', 'updated_at'] as const).flatMap((column) =>
      query[column] === undefined ? [] : [timeFilter(column, lastValue(query[column])!)],
    ),
  };
}

function checkFormat(name: string, values: readonly (string | number)[] | undefined): void {
  const allowed: readonly unknown[] | undefined =
    name === 'disk_format' ? DISK_FORMATS : name === 'container_format' ? CONTAINER_FORMATS : undefined;
  const unknown = allowed && values?.find((v) => !allowed.includes(v));
  if (unknown !== undefined) throw badRequest(`Invalid value '${unknown}' for filter '${name}'.`);
}

function timeFilter(
  column: 'created_at' | 'updated_at',
  text: string,
): NonNullable<ImageListOptions['times']>[number] {
  const [, operator = 'eq', time = text] = /^(eq|neq|gt|gte|lt|lte):(.*)$/.exec(text) ?? [];
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) throw badRequest(`Invalid time '${time}' for filter '${column}'.`);
  return [column, OPERATORS[operator as keyof typeof OPERATORS], at.toISOString()];
}

function sorting(query: OpRequest['query']): ImageListOptions['sort'] {
  const combined = lastValue(query.sort);
  if (combined !== undefined && (query.sort_key !== undefined || query.sort_dir !== undefined)) {
    throw badRequest('Old and new sorting syntax cannot be combined');
  }
  const pairs = combined
    ? combined.split(',').map((part) => part.split(':') as [string, string?])
    : [query.sort_key ?? 'created_at']
        .flat()
        .map((key, i): [string, string?] => [
          key,
          [query.sort_dir ?? 'desc'].flat()[i] ?? [query.sort_dir ?? 'desc'].flat()[0],
        ]);
  return pairs.map(([column, direction = 'desc']) => {
    if (!SORT_KEYS.includes(column)) {
      throw badRequest(
        `Invalid sort key: ${column}. It must be one of the following: ${SORT_KEYS.join(', ')}.`,
      );
    }
    if (direction !== 'asc' && direction !== 'desc') {
      throw badRequest(`Invalid sort direction: ${direction}. It must be one of the following: asc, desc.`);
    }
    return { column, direction };
  });
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = Number(text);
  if (!/^\d+$/.test(text)) throw badRequest('limit param must be an integer');
  return Math.min(limit, MAX_LIMIT);
}

function pageQuery(query: OpRequest['query']): string {
  const rest = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (name !== 'marker') for (const v of [value].flat()) rest.append(name, v);
  }
  return rest.toString();
}

function integer(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`Invalid value '${text}' for '${name}': it must be an integer.`);
  return Number(text);
}

function flag(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (/^(true|1|yes)$/i.test(text)) return true;
  if (/^(false|0|no)$/i.test(text)) return false;
  throw badRequest(`Invalid value '${text}': it must be true or false.`);
}

function checked(name: string, value: string | undefined, allowed: readonly string[]): string | undefined {
  if (value === undefined || allowed.includes(value)) return value;
  throw badRequest(`Invalid ${name} value: ${value}`);
}

function unquote(text: string): string {
  return text.replace(/^"(.*)"$/, '$1');
}
