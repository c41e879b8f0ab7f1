import { badRequest, notFound } from '../../core/errors.js';
import { findVolume, listVolumes, type VolumeListOptions, type VolumeRow } from '../../store/volume.js';
import type { OpRequest } from '../shared/operation.js';
import { lastValue } from '../shared/query.js';

const MAX_LIMIT = 1000;
/** API filter → column. */
const FILTERS: Readonly<Record<string, string>> = {
  name: 'name',
  display_name: 'name',
  status: 'status',
  availability_zone: 'availability_zone',
  size: 'size_gb',
};
const SORT_KEYS: Readonly<Record<string, string>> = {
  id: 'id',
  status: 'status',
  size: 'size_gb',
  availability_zone: 'availability_zone',
  created_at: 'created_at',
  updated_at: 'updated_at',
  name: 'name',
  display_name: 'name',
  bootable: 'bootable',
};

/** GET volumes and volumes/detail: filters, sorting and paging with `volumes_links`. */
export async function listVolumesPage(
  request: OpRequest,
  view: (volume: VolumeRow, request: OpRequest) => Record<string, unknown>,
): Promise<unknown> {
  const { app, query } = request;
  const limit = nonNegative('limit', query.limit) ?? MAX_LIMIT;
  const marker = lastValue(query.marker);
  const options: VolumeListOptions = {
    projectId: scopeOf(request),
    filters: filters(query),
    metadata: metadataFilter(lastValue(query.metadata)),
    sort: sorting(query),
    marker: marker === undefined ? null : await markerRow(request, marker),
    limit: Math.min(limit, MAX_LIMIT) + 1,
    offset: nonNegative('offset', query.offset),
  };
  const rows = limit === 0 ? [] : await listVolumes(app.store.read, options);
  const page = rows.slice(0, Math.min(limit, MAX_LIMIT));
  const body: Record<string, unknown> = { volumes: page.map((volume) => view(volume, request)) };
  if (page.length === limit && page.length > 0 && query.limit !== undefined) {
    const next = new URLSearchParams(Object.entries(query).map(([k, v]): [string, string] => [k, String(v)]));
    next.set('marker', page.at(-1)!.id);
    const path = request.raw.url.split('?')[0]!.replace(/^\/volume/, '');
    body.volumes_links = [{ rel: 'next', href: `${request.baseUrl}${path}?${next}` }];
  }
  return body;
}

function scopeOf({ ctx, query }: OpRequest): string | null {
  const all = /^(1|true|yes)$/i.test(lastValue(query.all_tenants) ?? '');
  if (!all || ctx.listScope('volume:get_all') !== null) return ctx.projectId;
  return lastValue(query.project_id) ?? null;
}

function filters(query: OpRequest['query']): Record<string, (string | number)[]> {
  const found: Record<string, (string | number)[]> = {};
  for (const [name, column] of Object.entries(FILTERS)) {
    const value = lastValue(query[name]);
    if (value === undefined) continue;
    if (column === 'size_gb' && !/^\d{1,9}$/.test(value)) throw badRequest(`Invalid filter size: ${value}`);
    found[column] = [column === 'size_gb' ? Number(value) : value];
  }
  const bootable = lastValue(query.bootable);
  if (bootable !== undefined) found.bootable = [/^(1|true)$/i.test(bootable) ? 1 : 0];
  return found;
}

/** `{'key1': 'value1'}` as clients send it: Python's notation of a dictionary, or JSON. */
function metadataFilter(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const entries = [...text.matchAll(/u?(['"])(.*?)\1\s*:\s*u?(['"])(.*?)\3/g)].map(([, , key, , value]) => [
    key,
    value,
  ]);
  if (entries.length === 0 && !/^\s*\{\s*\}\s*$/.test(text))
    throw badRequest(`Invalid filter metadata: ${text}`);
  return Object.fromEntries(entries);
}

function sorting(query: OpRequest['query']): VolumeListOptions['sort'] {
  const combined = lastValue(query.sort);
  const pairs = combined
    ? combined.split(',').map((part) => part.split(':'))
    : [[lastValue(query.sort_key) ?? 'created_at', lastValue(query.sort_dir) ?? 'desc']];
  return pairs.map(([key = '', direction = 'desc']) => {
    const column = Object.hasOwn(SORT_KEYS, key) ? SORT_KEYS[key] : undefined;
    if (!column) throw badRequest(`Invalid input received: Invalid sort key: ${key}`);
    if (direction !== 'asc' && direction !== 'desc')
      throw badRequest('Invalid input received: Unknown sort direction, must be asc or desc.');
    return { column, direction };
  });
}

async function markerRow({ app, ctx }: OpRequest, id: string): Promise<Record<string, unknown>> {
  const row = await findVolume(app.store.read, id);
  if (!row || (ctx.listScope('volume:get_all') ?? row.project_id) !== row.project_id)
    throw notFound(`Volume ${id} could not be found.`);
  return row as unknown as Record<string, unknown>;
}

function nonNegative(name: string, value: string | string[] | undefined): number | undefined {
  const text = lastValue(value);
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw badRequest(`Invalid input received: ${name} param must be an integer >= 0`);
  return Number(text);
}
