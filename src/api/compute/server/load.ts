import type { App } from '../../../core/app.js';
import { portsOfServers } from '../../../core/port/of-servers.js';
import { DEFAULT_ZONE } from '../../../core/scheduler/candidate.js';
import { groupOfServer } from '../../../store/compute/group.js';
import { computeHosts } from '../../../store/compute/hosts.js';
import { type ServerRow, tagsOfServers } from '../../../store/compute/server.js';
import type { OpRequest } from '../../shared/operation.js';
import type { ShownServer, Viewer } from './view.js';

/** All that is shown of servers: a constant number of queries. */
export async function loadServers(app: App, rows: readonly ServerRow[]): Promise<ShownServer[]> {
  const db = app.store.read;
  const ids = rows.map(({ id }) => id);
  const ports = await portsOfServers(db, ids);
  const tags = await tagsOfServers(db, ids);
  const hostIds = [...new Set(rows.flatMap(({ host_id }) => host_id ?? []))];
  const hosts = new Map((await computeHosts(db, hostIds)).map((host) => [host.id, host]));
  return rows.map((row) => {
    const host = row.host_id === null ? undefined : hosts.get(row.host_id);
    return {
      row,
      ports: ports.get(row.id) ?? [],
      tags: tags.get(row.id) ?? [],
      hostName: host?.name ?? null,
      hostZone: host ? ([...host.zones][0] ?? DEFAULT_ZONE) : null,
      hostStatus: hostStatusOf(app, row.host_id, host?.enabled !== 0),
    };
  });
}

/** One server with its group, for showing it alone. */
export async function loadServer(app: App, row: ServerRow): Promise<ShownServer> {
  const [shown] = await loadServers(app, [row]);
  const group = await groupOfServer(app.store.read, row.id);
  return { ...shown!, groups: group === null ? [] : [group] };
}

/** UP, DOWN, MAINTENANCE (disabled) or empty without a host. */
export function hostStatusOf(app: App, hostId: string | null, enabled: boolean): string {
  if (hostId === null) return '';
  if (!app.hosts.isUp(hostId)) return 'DOWN';
  return enabled ? 'UP' : 'MAINTENANCE';
}

export function viewerOf({ baseUrl, version, ctx }: OpRequest): Viewer {
  return {
    baseUrl,
    version,
    attributes: ctx.allows('os_compute_api:os-extended-server-attributes'),
    hostStatus: ctx.allows('os_compute_api:servers:show:host_status'),
  };
}
