import { type HostSummary, summariseHosts } from '../../../core/compute-host/summary.js';
import { badRequest, MaruError, notFound } from '../../../core/errors.js';
import { atLeast } from '../../shared/microversion.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { nextLinks, readPage } from '../paging.js';
import { ADMIN, policy } from '../policy.js';
import { isTrue } from '../schemas.js';
import { pattern } from '../server/pattern.js';

/** Hosts as hypervisors. */
export const hypervisorOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-hypervisors',
    policy: policy('os-hypervisors:list', ADMIN),
    summary: 'List hypervisors',
    status: 200,
    handler: (request) => list(request, '/os-hypervisors', brief),
  },
  {
    method: 'GET',
    path: '/v2.1/os-hypervisors/detail',
    policy: policy('os-hypervisors:list-detail', ADMIN),
    summary: 'List hypervisors with details',
    status: 200,
    handler: (request) => list(request, '/os-hypervisors/detail', detail),
  },
  {
    method: 'GET',
    path: '/v2.1/os-hypervisors/statistics',
    policy: policy('os-hypervisors:statistics', ADMIN),
    summary: 'Sum up all hypervisors',
    until: '2.87',
    status: 200,
    handler: async ({ app }) => ({ hypervisor_statistics: statistics(await summariseHosts(app)) }),
  },
  {
    method: 'GET',
    path: '/v2.1/os-hypervisors/:id',
    policy: policy('os-hypervisors:show', ADMIN),
    summary: 'Show a hypervisor',
    status: 200,
    handler: async (request) => {
      const host = await find(request);
      const servers =
        atLeast(request.version, '2.53') && isTrue(lastValue(request.query.with_servers) ?? 'false');
      return { hypervisor: { ...detail(request, host), ...(servers ? { servers: serversOf(host) } : {}) } };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-hypervisors/:id/uptime',
    policy: policy('os-hypervisors:uptime', ADMIN),
    summary: 'Show how long a hypervisor has been up',
    until: '2.87',
    status: 200,
    handler: async (request) => {
      await find(request);
      throw new MaruError('bad-request', 'Virt driver does not implement uptime function.', { status: 501 });
    },
  },
  {
    method: 'GET',
    path: '/v2.1/os-hypervisors/:id/search',
    policy: policy('os-hypervisors:search', ADMIN),
    summary: 'Find hypervisors by a part of their name',
    until: '2.52',
    status: 200,
    handler: async (request) => ({
      hypervisors: (await search(request)).map((host) => brief(request, host)),
    }),
  },
  {
    method: 'GET',
    path: '/v2.1/os-hypervisors/:id/servers',
    policy: policy('os-hypervisors:servers', ADMIN),
    summary: 'List the servers of hypervisors found by a part of their name',
    until: '2.52',
    status: 200,
    handler: async (request) => ({
      hypervisors: (await search(request)).map((host) => ({
        ...brief(request, host),
        ...(host.servers.length ? { servers: serversOf(host) } : {}),
      })),
    }),
  },
];

async function list(
  request: OpRequest,
  path: string,
  view: (request: OpRequest, host: HostSummary) => Record<string, unknown>,
) {
  const { app, query, version } = request;
  const paged = atLeast(version, '2.33');
  const page = paged ? readPage(query) : { limit: Number.POSITIVE_INFINITY, marker: null };
  const named = atLeast(version, '2.53') ? pattern(lastValue(query.hypervisor_hostname_pattern)) : null;
  let hosts = (await summariseHosts(app)).filter(({ host }) => !named || named(host.name));
  if (named && hosts.length === 0) {
    throw notFound(
      `No hypervisor matching '${lastValue(query.hypervisor_hostname_pattern)}' could be found.`,
    );
  }
  if (page.marker !== null) {
    const at = hosts.findIndex((host) => String(idOf(request, host)) === page.marker);
    if (at < 0) throw badRequest(`marker [${page.marker}] not found`);
    hosts = hosts.slice(at + 1);
  }
  const shown = hosts.slice(0, page.limit);
  const last = shown.at(-1);
  const links = nextLinks(request, path, hosts.length > shown.length, last && String(idOf(request, last)));
  const withServers = atLeast(version, '2.53') && isTrue(lastValue(query.with_servers) ?? 'false');
  return {
    hypervisors: shown.map((host) => ({
      ...view(request, host),
      ...(withServers && host.servers.length ? { servers: serversOf(host) } : {}),
    })),
    ...(links ? { hypervisors_links: links } : {}),
  };
}

async function find(request: OpRequest): Promise<HostSummary> {
  const { id = '' } = request.params;
  const host = (await summariseHosts(request.app)).find((h) => String(idOf(request, h)) === id);
  if (!host) throw notFound(`Hypervisor with ID '${id}' could not be found.`);
  return host;
}

async function search({ app, params }: OpRequest): Promise<HostSummary[]> {
  const { id = '' } = params;
  const hosts = (await summariseHosts(app)).filter(({ host }) => host.name.includes(id));
  if (hosts.length === 0) throw notFound(`No hypervisor matching '${id}' could be found.`);
  return hosts;
}

function idOf({ version }: OpRequest, { host }: HostSummary): string | number {
  return atLeast(version, '2.53') ? host.id : (host.number ?? 0);
}

function serversOf({ servers }: HostSummary) {
  return servers.map(({ id, name }) => ({ uuid: id, name }));
}

function brief(request: OpRequest, summary: HostSummary): Record<string, unknown> {
  return {
    id: idOf(request, summary),
    hypervisor_hostname: summary.host.name,
    state: summary.up ? 'up' : 'down',
    status: summary.host.enabled ? 'enabled' : 'disabled',
  };
}

function detail(request: OpRequest, summary: HostSummary): Record<string, unknown> {
  const { version } = request;
  const { host, facts } = summary;
  const capacity = atLeast(version, '2.88')
    ? { uptime: null }
    : { ...numbers(summary), cpu_info: cpuInfo(summary, atLeast(version, '2.28')) };
  return {
    ...brief(request, summary),
    hypervisor_type: 'QEMU',
    hypervisor_version: versionNumber(facts?.qemu_version ?? ''),
    host_ip: host.underlay_ip,
    service: {
      id: atLeast(version, '2.53') ? host.service_id : (host.number ?? 0),
      host: host.name,
      disabled_reason: host.disabled_reason,
    },
    ...capacity,
  };
}

function cpuInfo({ facts }: HostSummary, structured: boolean): unknown {
  const info = { model: facts?.cpu_model ?? '', topology: { cores: facts?.vcpus ?? 0 } };
  return structured ? info : JSON.stringify(info);
}

function numbers(summary: HostSummary) {
  const { servers } = summary;
  const disk = summary.total('DISK_GB');
  const memory = summary.total('MEMORY_MB');
  return {
    vcpus: summary.total('VCPU'),
    vcpus_used: summary.used('VCPU'),
    memory_mb: memory,
    memory_mb_used: summary.used('MEMORY_MB'),
    free_ram_mb: memory - summary.used('MEMORY_MB'),
    local_gb: disk,
    local_gb_used: summary.used('DISK_GB'),
    free_disk_gb: disk - summary.used('DISK_GB'),
    disk_available_least: disk - summary.used('DISK_GB'),
    running_vms: servers.length,
    current_workload: 0,
  };
}

function statistics(hosts: readonly HostSummary[]): Record<string, number> {
  const sums: Record<string, number> = { count: hosts.length };
  const zero = Object.keys(numbers(hosts[0] ?? NOBODY));
  for (const name of zero) {
    sums[name] = hosts.reduce(
      (sum, host) => sum + numbers(host)[name as keyof ReturnType<typeof numbers>],
      0,
    );
  }
  return sums;
}

const NOBODY = { servers: [], total: () => 0, used: () => 0 } as unknown as HostSummary;

/** `7.2.0` as 7002000, as libvirt counts versions. */
function versionNumber(text: string): number {
  const [major = 0, minor = 0, patch = 0] = (text.match(/\d+/g) ?? []).map(Number);
  return major * 1_000_000 + minor * 1000 + patch;
}
