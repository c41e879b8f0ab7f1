import type { HostKind } from '../../desired/kind.js';
import { networkKinds } from '../../desired/network-kinds.js';
import { serverObjects } from '../../desired/server.js';
import { ipVersion } from '../../net/ip.js';
import { objectKey, specObject } from '../../protocol/keys.js';
import type { ObjectKey, ObjectKind, Spec, SpecObject } from '../../protocol/objects.js';
import { findServers } from '../../store/compute/server.js';
import { findHosts } from '../../store/hosts.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { floatingIpsOfPort, routersOfSubnet } from '../../store/network/router.js';
import { findRow } from '../../store/network/rows.js';
import { hostsOfPorts } from '../../store/network/trace.js';
import type { Reader } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import type { TraceHost, TraceScene, Traffic } from './model.js';

type FloatingIp = NetworkTables['floating_ip'];

/** Reads all that the way of a floating IP, or of a port without one, goes through. */
export async function readScene(
  db: Reader,
  target: { readonly floating: FloatingIp } | { readonly portId: string },
  traffic: Traffic,
): Promise<TraceScene> {
  const portId = 'floating' in target ? target.floating.fixed_port_id : target.portId;
  const port = portId === null ? null : await findRow(db, 'port', portId);
  // nobody comes to a floating IP by IPv6
  const six = traffic.from !== null && ipVersion(traffic.from.split('/')[0]!) === 6;
  const [first] = port && !six && !('floating' in target) ? await floatingIpsOfPort(db, port.id) : [];
  const floating = 'floating' in target ? target.floating : (first ?? null);
  const addresses = port ? await addressesOfPorts(db, [port.id]) : [];
  const routerId = floating?.router_id ?? (floating ? null : await routerTowards(db, addresses));
  const router = routerId ? await findRow(db, 'router', routerId) : null;
  const [server] = port?.server_id ? await findServers(db, [port.server_id]) : [];
  const portHost = port ? ((await hostsOfPorts(db, [port.id])).get(port.id) ?? null) : null;
  return {
    traffic,
    floating: floating && {
      id: floating.id,
      address: floating.floating_ip_address,
      fixed: floating.fixed_ip_address,
      port_id: floating.fixed_port_id,
      router_id: floating.router_id,
    },
    port: port && {
      id: port.id,
      network_id: port.network_id,
      mac: port.mac_address,
      addresses: addresses.map(({ ip_address }) => ip_address),
      admin_state_up: port.admin_state_up === 1,
      host_id: portHost,
    },
    server:
      server && server.deleted_at === null
        ? { id: server.id, name: server.name, status: server.status, power: server.power }
        : null,
    router: router && {
      id: router.id,
      name: router.name,
      host_id: router.host_id,
      next_host_id: router.next_host_id,
      admin_state_up: router.admin_state_up === 1,
    },
    hosts: await hostsWithSpecs(db, [router?.host_id, portHost], {
      routerIds: [routerId],
      networkIds: [port?.network_id, floating?.floating_network_id],
      portIds: [port?.id],
      serverIds: [server?.id],
    }),
  };
}

/** What of hosts' specs is worked out; the rest of them is left out. */
export interface Concerned {
  /** Null: every router of the hosts. */
  readonly routerIds: readonly (string | null | undefined)[] | null;
  readonly networkIds: readonly (string | null | undefined)[];
  /** Null: every port of the networks. */
  readonly portIds: readonly (string | null | undefined)[] | null;
  readonly serverIds: readonly (string | null | undefined)[];
}

/** Hosts with the part of their specs that is asked for, worked out as delivery does. */
export async function hostsWithSpecs(
  db: Reader,
  hostIds: readonly (string | null | undefined)[],
  concerned: Concerned,
): Promise<ReadonlyMap<string, TraceHost>> {
  const ids = [...new Set(hostIds.filter((id) => id !== null && id !== undefined))];
  const rows = await findHosts(db, ids);
  if (rows.length === 0) return new Map();
  const specs = new Map<string, Record<ObjectKey, SpecObject>>(ids.map((id) => [id, {}]));
  for (const kind of networkKinds as readonly HostKind[]) {
    for (const [hostId, objects] of await kind.objectsOfHosts!(db, ids)) {
      for (const [id, body] of objects) {
        if (!isConcerned(kind.kind, id, body as { network_id?: string }, concerned)) continue;
        specs.get(hostId)![objectKey(kind.kind, id)] = specObject(body);
      }
    }
  }
  const servers = await findServers(db, present(concerned.serverIds));
  const bodies = await serverObjects(db, servers);
  for (const { id, host_id } of servers) {
    const spec = host_id === null ? undefined : specs.get(host_id);
    if (spec) spec[objectKey('server', id)] = specObject<'server'>(bodies.get(id)!);
  }
  return new Map(
    rows.map(({ id, name, underlay_ip }) => [id, { id, name, underlay_ip, spec: specs.get(id) as Spec }]),
  );
}

function isConcerned(
  kind: ObjectKind,
  id: string,
  body: { readonly network_id?: string },
  { routerIds, networkIds, portIds }: Concerned,
): boolean {
  if (kind === 'router') return routerIds === null || routerIds.includes(id);
  if (kind === 'network' || kind === 'dhcp') return networkIds.includes(id);
  if (kind === 'port') return portIds === null ? networkIds.includes(body.network_id) : portIds.includes(id);
  if (kind === 'group-members') return networkIds.includes(body.network_id);
  // which of them a port uses is in its body
  return kind === 'security-group';
}

/** A router with an interface in the block of the first address. */
async function routerTowards(
  db: Reader,
  addresses: readonly { readonly subnet_id: string }[],
): Promise<string | null> {
  for (const { subnet_id } of addresses) {
    const [router] = await routersOfSubnet(db, subnet_id);
    if (router) return router.id;
  }
  return null;
}

function present(ids: readonly (string | null | undefined)[]): string[] {
  return ids.filter((id) => id !== null && id !== undefined);
}
