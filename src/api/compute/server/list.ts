import type { App } from '../../../core/app.js';
import { badRequest } from '../../../core/errors.js';
import { findServers } from '../../../store/compute/server.js';
import { type ListedServerRow, listServerRows, serverIps } from '../../../store/compute/server-list.js';
import type { Reader } from '../../../store/store.js';
import { contextOfAll } from '../../shared/context.js';
import type { OpRequest } from '../../shared/operation.js';
import { nextLinks, readPage, readSort } from '../paging.js';
import { readFilters, type ServerFilters } from './filters.js';
import { serverFragments } from './fragments.js';
import { ListCache } from './list-cache.js';
import { viewerOf } from './load.js';
import { serverLinks } from './view.js';

/** Keys that lists can be sorted by, and their columns. */
export const SORT_KEYS: Readonly<Record<string, string>> = {
  created_at: 'created_at',
  updated_at: 'updated_at',
  launched_at: 'launched_at',
  terminated_at: 'deleted_at',
  display_name: 'name',
  display_description: 'description',
  uuid: 'id',
  hostname: 'hostname',
  image_ref: 'image_id',
  instance_type_id: 'flavor_id',
  key_name: 'key_name',
  project_id: 'project_id',
  user_id: 'user_id',
  vm_state: 'vm_state',
  task_state: 'task_state',
  power_state: 'observed_power',
  availability_zone: 'availability_zone',
  access_ip_v4: 'access_ip_v4',
  access_ip_v6: 'access_ip_v6',
  host: 'host_id',
  node: 'host_id',
};

const NEWEST_FIRST = [
  { column: 'created_at', direction: 'desc' },
  { column: 'internal_id', direction: 'desc' },
] as const;

/** GET /servers: ids and names. */
export async function listBrief(request: OpRequest): Promise<unknown> {
  const { rows, links } = await find(request, '/servers');
  const servers = rows.map(({ id, name }) => ({ id, name, links: serverLinks(request.baseUrl, id) }));
  return { servers, ...(links ? { servers_links: links } : {}) };
}

/** GET /servers/detail, joined from rendered texts; the same bytes again while nothing changes. */
export async function listDetail(request: OpRequest): Promise<Buffer> {
  return await listCache(request.app).reply(request, async () => {
    const { rows, links, ctx } = await find(request, '/servers/detail');
    const texts = await serverFragments(request.app).render(viewerOf({ ...request, ctx }), rows);
    const more = links ? `, "servers_links": ${JSON.stringify(links)}` : '';
    return {
      body: `{"servers": [${texts.join(', ')}]${more}}`,
      hostIds: rows.flatMap(({ host_id }) => host_id ?? []),
    };
  });
}

const caches = new WeakMap<App, ListCache>();

function listCache(app: App): ListCache {
  let cache = caches.get(app);
  if (!cache) {
    cache = new ListCache(app);
    caches.set(app, cache);
  }
  return cache;
}

async function find(request: OpRequest, path: string) {
  const { app, ctx, version, query } = request;
  const db = app.store.read;
  const page = readPage(query);
  const sort = readSort(query, SORT_KEYS, [...NEWEST_FIRST]);
  const policy = `os_compute_api:servers:${path === '/servers' ? 'index' : 'detail'}:get_all_tenants`;
  const filters = await readFilters(db, ctx, version, query, policy);
  const viewer = filters.options.projectId === null ? contextOfAll(ctx) : ctx;
  const marker = page.marker === null ? null : await findMarker(db, page.marker, filters);
  if (filters.nothing) return { rows: [], links: undefined, ctx: viewer };
  const rows = await pick(db, filters, { sort, marker, limit: page.limit + 1 });
  const shown = rows.slice(0, page.limit);
  const links = nextLinks(request, path, rows.length > page.limit, shown.at(-1)?.id);
  return { rows: shown, links, ctx: viewer };
}

async function findMarker(db: Reader, id: string, { options }: ServerFilters) {
  const [row] = await findServers(db, [id]);
  const visible = row && (options.projectId === null || row.project_id === options.projectId);
  if (!visible) throw badRequest(`marker [${id}] not found`);
  return row as unknown as Record<string, unknown>;
}

async function pick(
  db: Reader,
  filters: ServerFilters,
  page: {
    sort: { column: string; direction: 'asc' | 'desc' }[];
    marker: Record<string, unknown> | null;
    limit: number;
  },
): Promise<ListedServerRow[]> {
  const { options, name, ip, ip6 } = filters;
  if (!name && !ip && !ip6) return await listServerRows(db, { ...options, ...page });
  let rows = await listServerRows(db, { ...options, ...page, limit: null });
  if (name) rows = rows.filter((row) => name(row.name));
  if (ip || ip6) {
    const addresses = await serverIps(
      db,
      rows.map(({ id }) => id),
    );
    const having = (test: (text: string) => boolean) =>
      new Set(addresses.flatMap((a) => (a.server_id !== null && test(a.ip_address) ? a.server_id : [])));
    for (const test of [ip, ip6]) {
      if (!test) continue;
      const matching = having(test);
      rows = rows.filter(({ id }) => matching.has(id));
    }
  }
  return rows.slice(0, page.limit);
}
