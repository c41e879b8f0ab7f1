import { serverGroupHosts, serverHosts } from '../../store/compute/group.js';
import type { ServerRow } from '../../store/compute/server.js';
import { nowText, type Reader, recordChange, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { bindPort } from '../binding/bind.js';
import { physicalNetworksOf } from '../port/for-server.js';
import { portsOfServers } from '../port/of-servers.js';
import { NO_WISHES, type PlacementRequest, type Verdict } from '../scheduler/candidate.js';
import { type Placement, placeServer } from '../scheduler/place.js';
import { NO_HINTS, type PlacementHints, readRecord, recordOf } from '../scheduler/record.js';
import type { ServerFault, ServerFlavor, ServerImage } from './facts.js';
import { saveServer } from './save.js';
import { notePlacement } from './trail.js';

const GIB = 1024 ** 3;

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
 * more than that none is left. Without `hints` those of its first placement hold. While a host that would do has not been heard of
 * since the controller started, the server is left to be placed: no host, and not failed.
 */
export async function assignHost(
  tx: Tx,
  app: App,
  server: ServerRow,
  given: PlacementHints | null,
  fault: ServerFault | null = null,
): Promise<ServerRow> {
  const hints = given ?? hintsOf(server);
  // what the group's other members are doing must not change between the look at them and our own claim
  if (hints.group !== null) await app.store.lockFamily(tx, hints.group, 'server-group');
  const request = await placementRequest(tx, server, hints);
  const placement = await placeServer(tx, app, server, request);
  const record = recordOf(placement, hints);
  if (placement.hostId === null && placement.verdicts.some((verdict) => mayDoYet(app, verdict))) {
    const left = { failed: 0, fault: null, task_state: 'scheduling' };
    return await saveServer(tx, server, { ...left, placement: record });
  }
  notePlacement(tx, server, placement);
  if (placement.hostId === null) {
    return await saveServer(tx, server, {
      host_id: null,
      failed: 1,
      fault: JSON.stringify(fault ?? noValidHost(placement)),
      placement: record,
      task_state: null,
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
    placement: record,
    task_state: 'spawning',
    failed: 0,
    fault: null,
  });
}

/** Nothing is known against the host but that it was not heard of yet, which right after a start says nothing. */
function mayDoYet(app: App, { host_id, reasons }: Verdict): boolean {
  if (!reasons.every(({ predicate }) => predicate === 'up')) return false;
  return !app.hosts.isUp(host_id) && !app.hosts.isDown(host_id);
}

/** What the request for a server said about where it should run, as its last placement kept it. */
export function hintsOf(server: Pick<ServerRow, 'placement'>): PlacementHints {
  return readRecord(server.placement)?.hints ?? NO_HINTS;
}

/** What a server asks of a host, as far as its row and ports say. */
export async function placementRequest(
  db: Reader,
  server: ServerRow,
  hints: PlacementHints,
): Promise<PlacementRequest> {
  const ports = (await portsOfServers(db, [server.id])).get(server.id) ?? [];
  const networks = [...new Set(ports.map((port) => port.network_id))];
  const avoid: Record<string, string> = {};
  for (const id of JSON.parse(server.failed_hosts) as string[])
    avoid[id] = 'building the server failed on it';
  const flavor = JSON.parse(server.flavor) as ServerFlavor;
  const image = server.image === null ? null : (JSON.parse(server.image) as ServerImage);
  const wishes = await wishesOf(db, hints, server.id);
  return {
    ...NO_WISHES,
    ...wishes,
    avoid: { ...avoid, ...wishes.avoid },
    resources: resourcesOf(flavor, image),
    project_id: server.project_id,
    availability_zone: server.availability_zone,
    physical_networks: await physicalNetworksOf(db, networks),
    image: image && { size: image.size, properties: image.properties },
    extra_specs: flavor.extra_specs,
  };
}

/** What hints mean for hosts now; `serverId` is the server they are for, null when there is none yet. */
export async function wishesOf(
  db: Reader,
  hints: PlacementHints,
  serverId: string | null,
): Promise<Pick<PlacementRequest, 'host' | 'avoid' | 'only' | 'group'>> {
  const avoid: Record<string, string> = {};
  for (const id of await serverHosts(db, hints.different_host)) {
    avoid[id] = 'it runs a server that different_host names';
  }
  const only = hints.same_host.length
    ? { hosts: await serverHosts(db, hints.same_host), reason: 'it runs no server that same_host names' }
    : null;
  const group = hints.group === null ? null : await serverGroupHosts(db, hints.group, serverId);
  return { host: hints.host, avoid, only, group };
}

function noValidHost(placement: Placement): ServerFault {
  const reasons = placement.verdicts.map(
    ({ host, reasons }) => `${host}: ${reasons.map(({ reason }) => reason).join('; ')}`,
  );
  return {
    code: 500,
    message: 'No valid host was found. There are not enough hosts available.',
    details: reasons.length ? reasons.join('\n') : 'No host has joined this cloud yet.',
    created: nowText(),
  };
}
