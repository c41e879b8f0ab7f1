import { create } from '../../lab/resources.js';
import { type FleetBench, say } from './bench.js';
import { monotonicMs } from './clock.js';
import { spread } from './percentile.js';

const MOST_PAGES = 60;
const FLOATING_IPS = 300;
const GOAL = { most: 300 };

interface Pages {
  readonly name: string;
  readonly service: string;
  readonly path: string;
  readonly many: string;
  readonly limit: number;
  /** Parts of the path after which all pages are read again. */
  readonly query?: string;
}

const LISTS: readonly Pages[] = [
  {
    name: 'servers/detail, all projects, limit=100',
    service: 'compute',
    path: '/servers/detail',
    many: 'servers',
    limit: 100,
    query: 'all_tenants=1&',
  },
  {
    name: 'servers/detail, all projects, limit=1000',
    service: 'compute',
    path: '/servers/detail',
    many: 'servers',
    limit: 1000,
    query: 'all_tenants=1&',
  },
  {
    name: 'servers by name, limit=100',
    service: 'compute',
    path: '/servers/detail',
    many: 'servers',
    limit: 100,
    query: 'all_tenants=1&sort_key=display_name&sort_dir=asc&',
  },
  { name: 'ports, limit=100', service: 'network', path: '/v2.0/ports', many: 'ports', limit: 100 },
  { name: 'ports, limit=1000', service: 'network', path: '/v2.0/ports', many: 'ports', limit: 1000 },
  {
    name: 'floating IPs, limit=100',
    service: 'network',
    path: '/v2.0/floatingips',
    many: 'floatingips',
    limit: 100,
  },
];

/** How long pages of lists take, walked from the first to the last: hardly any is asked for twice. */
export async function measurePages(bench: FleetBench): Promise<void> {
  const { layout, results } = bench;
  say('pages of lists');
  const { cloud } = layout.tenants[0]!;
  const addresses = Math.min(FLOATING_IPS, bench.servers);
  for (let i = 0; i < addresses && performance.now() < bench.deadline; i++) {
    await create(cloud, 'floatingIp', { floating_network_id: layout.external.id });
  }
  for (const pages of LISTS)
    results.push(...spread(`page of ${pages.name}`, 'ms', await walk(bench, pages), GOAL));
  const own: number[] = [];
  for (const tenant of layout.tenants.slice(0, MOST_PAGES)) {
    const sent = monotonicMs();
    await (await tenant.cloud.raw('compute', 'GET', '/servers/detail?limit=100')).arrayBuffer();
    own.push(monotonicMs() - sent);
  }
  results.push(...spread('page of servers/detail, one project, limit=100', 'ms', own, GOAL));
}

async function walk(bench: FleetBench, { service, path, many, limit, query = '' }: Pages): Promise<number[]> {
  const times: number[] = [];
  let marker = '';
  while (times.length < MOST_PAGES && performance.now() < bench.deadline) {
    const sent = monotonicMs();
    const url = `${path}?${query}limit=${limit}${marker && `&marker=${marker}`}`;
    const response = await bench.layout.admin.raw(service, 'GET', url);
    const body = Buffer.from(await response.arrayBuffer());
    times.push(monotonicMs() - sent);
    const rows = (JSON.parse(body.toString()) as Record<string, { id: string }[]>)[many] ?? [];
    marker = rows.length < limit ? '' : rows.at(-1)!.id;
    // of a list that is short, pages are asked for more often than once
    if (!marker && times.length >= 10) break;
  }
  return times;
}
