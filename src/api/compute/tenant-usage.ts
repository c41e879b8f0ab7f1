import { badRequest } from '../../core/errors.js';
import type { ServerFlavor } from '../../core/server/facts.js';
import { groupBy } from '../../group-by.js';
import { findUsedServer, serversInSpan, type UsagePage, type UsedServer } from '../../store/compute/usage.js';
import { atLeast } from '../shared/microversion.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { lastValue } from '../shared/query.js';
import { nextLinks, readPage } from './paging.js';
import { ADMIN, policy, READER } from './policy.js';

const HOUR_MS = 3600 * 1000;
const FOUR_WEEKS_MS = 28 * 24 * HOUR_MS;

/** How long servers ran and how much they took, per project. */
export const usageOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-simple-tenant-usage',
    policy: policy('os-simple-tenant-usage:list', ADMIN),
    summary: 'Show the usage of all projects',
    status: 200,
    handler: async (request) => {
      const detailed = lastValue(request.query.detailed) === '1';
      const { usages, links } = await usagesOf(request, null, detailed);
      return { tenant_usages: usages, ...(links ? { tenant_usages_links: links } : {}) };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-simple-tenant-usage/:project_id',
    policy: policy('os-simple-tenant-usage:show', READER),
    summary: 'Show the usage of a project',
    target: ({ params }) => ({ project_id: params.project_id }),
    status: 200,
    handler: async (request) => {
      const { usages, links } = await usagesOf(request, request.params.project_id!, true);
      return { tenant_usage: usages[0] ?? {}, ...(links ? { tenant_usage_links: links } : {}) };
    },
  },
];

/**
 * Usage per project, and from 2.40 on a page of it: cut by servers, so that a project's may go on in the next page. Clients such as
 * Horizon ask with the last server as marker until a page is empty.
 */
async function usagesOf(request: OpRequest, projectId: string | null, detailed: boolean) {
  const { app, query } = request;
  const stop = readTime(lastValue(query.end), new Date());
  const start = readTime(lastValue(query.start), new Date(stop.getTime() - FOUR_WEEKS_MS));
  if (start > stop) throw badRequest('Invalid start time. The start time cannot occur after the end time.');
  const page = atLeast(request.version, '2.40') ? await pageOf(request, projectId) : null;
  const span = [start.toISOString(), stop.toISOString()] as const;
  const found = await serversInSpan(app.store.read, projectId, ...span, page && more(page));
  const rows = page ? found.slice(0, page.limit) : found;
  const path = `/os-simple-tenant-usage${projectId === null ? '' : `/${encodeURIComponent(projectId)}`}`;
  const links = nextLinks(request, path, found.length > rows.length, rows.at(-1)?.id);
  const usages = [...groupBy(rows, (row) => row.project_id)].map(([tenant_id, servers]) => {
    const shown = servers.map((server) => usageOf(server, start, stop));
    const sum = (each: (usage: (typeof shown)[number]) => number) =>
      shown.reduce((total, usage) => total + each(usage), 0);
    return {
      tenant_id,
      start: micro(start),
      stop: micro(stop),
      total_hours: sum(({ hours }) => hours),
      total_local_gb_usage: sum(({ hours, local_gb }) => hours * local_gb),
      total_memory_mb_usage: sum(({ hours, memory_mb }) => hours * memory_mb),
      total_vcpus_usage: sum(({ hours, vcpus }) => hours * vcpus),
      ...(detailed ? { server_usages: shown } : {}),
    };
  });
  return { usages, links };
}

async function pageOf({ app, query }: OpRequest, projectId: string | null): Promise<UsagePage> {
  const { limit, marker } = readPage(query);
  if (marker === null) return { limit, after: null };
  const after = await findUsedServer(app.store.read, projectId, marker);
  if (!after) throw badRequest(`marker [${marker}] not found`);
  return { limit, after };
}

/** One more than is shown tells whether there is another page. */
function more(page: UsagePage): UsagePage {
  return { ...page, limit: page.limit + 1 };
}

function usageOf(server: UsedServer, start: Date, stop: Date) {
  const flavor = JSON.parse(server.flavor) as ServerFlavor;
  const started = new Date(server.launched_at!);
  const ended = server.deleted_at === null ? null : new Date(server.deleted_at);
  const from = Math.max(started.getTime(), start.getTime());
  const to = Math.min(ended?.getTime() ?? stop.getTime(), stop.getTime());
  const uptime = Math.max(0, (ended ?? new Date()).getTime() - started.getTime());
  return {
    instance_id: server.id,
    name: server.name,
    tenant_id: server.project_id,
    hours: Math.max(0, to - from) / HOUR_MS,
    flavor: flavor.name,
    vcpus: flavor.vcpus,
    memory_mb: flavor.ram,
    local_gb: flavor.disk + flavor.ephemeral,
    started_at: micro(started),
    ended_at: ended && micro(ended),
    state: ended ? 'terminated' : server.vm_state,
    uptime: Math.floor(uptime / 1000),
  };
}

function readTime(text: string | undefined, usual: Date): Date {
  if (text === undefined) return usual;
  const date = new Date(
    /[zZ]$|[+-]\d\d:\d\d$/.test(text) || text.length === 10 ? text : `${text.replace(' ', 'T')}Z`,
  );
  if (Number.isNaN(date.getTime())) throw badRequest(`Datetime is in invalid format`);
  return date;
}

function micro(date: Date): string {
  return `${date.toISOString().slice(0, 23)}000`;
}
