import { serverGroupHosts, serverHosts } from '../../store/compute/group.js';
import type { ServerRow } from '../../store/compute/server.js';
import { nowText, recordChange, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { bindPort } from '../binding/bind.js';
import { physicalNetworksOf } from '../port/for-server.js';
import { portsOfServers } from '../port/of-servers.js';
import type { PlacementRequest } from '../scheduler/candidate.js';
import { type Placement, placeServer } from '../scheduler/place.js';
import type { ServerFault, ServerFlavor, ServerImage } from './facts.js';
import { saveServer } from './save.js';

const GIB = 1024 ** 3;

/** What the request for a server said about where it should run. */
export interface PlacementHints {
  readonly host: string | null;
  readonly group: string | null;
  readonly same_host: readonly string[];
  readonly different_host: readonly string[];
}

export const NO_HINTS: PlacementHints = { host: null, group: null, same_host: [], different_host: [] };

/** What a server of this flavor and image takes of a host. */
export function resourcesOf(flavor: ServerFlavor, image: ServerImage | null): Record<string, number> {
  const root = flavor.disk > 0 ? flavor.disk : Math.ceil((image?.virtual_size ?? 0) / GIB);
  return {
    VCPU: flavor.vcpus,
    MEMORY_MB: flavor.ram,
    DISK_GB: root + flavor.ephemeral + Math.ceil(flavor.swap / 1024),
  };
}

/**
 * Finds a host for a server that has none, claims its capacity and binds the ports to it: the host will build it. Without
 * any host the server becomes ERROR with every host's reasons kept; `fault` is then why, when an earlier host's failure says
 * more than that none is left.
 */
export async function assignHost(
  tx: Tx,
  app: App,
  server: ServerRow,
  hints: PlacementHints,
  fault: ServerFault | null = null,
): Promise<ServerRow> {
  const request = await placementRequest(tx, server, hints);
  const placement = await placeServer(tx, app, server, request);
  const verdicts = JSON.stringify(placement.verdicts);
  if (placement.hostId === null) {
    return await saveServer(tx, server, {
      host_id: null,
      failed: 1,
      fault: JSON.stringify(fault ?? noValidHost(placement)),
      placement: verdicts,
      task_state: null,
      task_deadline: null,
    });
  }
  for (const port of (await portsOfServers(tx, [server.id])).get(server.id) ?? []) {
    await bindPort(tx, port.port_id, placement.hostId);
  }
  await recordChange(tx, 'server', server.id, server.task_request_id);
  return await saveServer(tx, server, {
    host_id: placement.hostId,
    run_epoch: server.run_epoch + 1,
    build_attempts: server.build_attempts + 1,
    placement: verdicts,
    task_state: 'spawning',
    task_deadline: new Date(Date.now() + app.config.build_timeout * 1000).toISOString(),
  });
}

/** What a server asks of a host, as far as its row and ports say. */
export async function placementRequest(
  tx: Tx,
  server: ServerRow,
  hints: PlacementHints = NO_HINTS,
): Promise<PlacementRequest> {
  const ports = (await portsOfServers(tx, [server.id])).get(server.id) ?? [];
  const networks = [...new Set(ports.map((port) => port.network_id))];
  const avoid: Record<string, string> = {};
  for (const id of JSON.parse(server.failed_hosts) as string[])
    avoid[id] = 'building the server failed on it';
  for (const id of await serverHosts(tx, hints.different_host)) {
    avoid[id] = 'it runs a server that different_host names';
  }
  let only: PlacementRequest['only'] = null;
  if (hints.same_host.length) {
    only = {
      hosts: await serverHosts(tx, hints.same_host),
      reason: 'it runs no server that same_host names',
    };
  }
  const group = hints.group === null ? null : await serverGroupHosts(tx, hints.group, server.id);
  if (group && group.hosts.length > 0) {
    if (group.policy === 'affinity') {
      only = { hosts: group.hosts, reason: 'the other members of the server group are elsewhere' };
    } else if (group.policy === 'anti-affinity') {
      for (const id of group.full) avoid[id] = 'it runs another member of the server group';
    }
  }
  return {
    resources: resourcesOf(
      JSON.parse(server.flavor) as ServerFlavor,
      server.image === null ? null : (JSON.parse(server.image) as ServerImage),
    ),
    availability_zone: server.availability_zone,
    host: hints.host,
    physical_networks: await physicalNetworksOf(tx, networks),
    avoid,
    only,
  };
}

function noValidHost(placement: Placement): ServerFault {
  const reasons = placement.verdicts.map(({ host, reasons }) => `${host}: ${reasons.join('; ')}`);
  return {
    code: 500,
    message: 'No valid host was found. There are not enough hosts available.',
    details: reasons.length ? reasons.join('\n') : 'No host has joined this cloud yet.',
    created: nowText(),
  };
}
