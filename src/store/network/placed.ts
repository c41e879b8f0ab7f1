import { oneOf } from '../one-of.js';
import type { Reader } from '../store.js';

/** A network that is live on a host, because of a guest's port or a router there. */
export interface Presence {
  readonly network_id: string;
  readonly host_id: string;
}

/** What makes networks live on hosts; both restrictions are optional. */
export async function presences(
  db: Reader,
  only: { readonly hostIds?: readonly string[]; readonly networkIds?: readonly string[] },
): Promise<Presence[]> {
  if (only.networkIds?.length === 0) return [];
  let guests = db
    .selectFrom('port as p')
    .innerJoin('port_binding as b', 'b.port_id', 'p.id')
    .select(['p.network_id', 'b.host_id'])
    .where('p.server_id', 'is not', null);
  let routers = db
    .selectFrom('port as p')
    .innerJoin('router as r', 'r.id', 'p.device_id')
    .select(['p.network_id', 'r.host_id'])
    .where('p.device_owner', 'in', ['network:router_interface', 'network:router_gateway'])
    .where('r.host_id', 'is not', null);
  // a router's next host has its networks before the router: so it is up at once when its turn comes
  let moving = db
    .selectFrom('port as p')
    .innerJoin('router as r', 'r.id', 'p.device_id')
    .select(['p.network_id', 'r.next_host_id as host_id'])
    .where('p.device_owner', 'in', ['network:router_interface', 'network:router_gateway'])
    .where('r.next_host_id', 'is not', null);
  if (only.hostIds) {
    guests = guests.where(oneOf(db, 'b.host_id', only.hostIds));
    routers = routers.where(oneOf(db, 'r.host_id', only.hostIds));
    moving = moving.where(oneOf(db, 'r.next_host_id', only.hostIds));
  }
  if (only.networkIds) {
    guests = guests.where(oneOf(db, 'p.network_id', only.networkIds));
    routers = routers.where(oneOf(db, 'p.network_id', only.networkIds));
    moving = moving.where(oneOf(db, 'p.network_id', only.networkIds));
  }
  const rows = await guests
    .union(routers as typeof guests)
    .union(moving as typeof guests)
    .execute();
  return rows as Presence[];
}

/** Networks that are live on a host. */
export async function networksOnHost(db: Reader, hostId: string): Promise<string[]> {
  return [...new Set((await presences(db, { hostIds: [hostId] })).map((row) => row.network_id))];
}

/** Hosts on which any of the networks is live. */
export async function hostsOfNetworks(db: Reader, networkIds: readonly string[]): Promise<string[]> {
  return [...new Set((await presences(db, { networkIds })).map((row) => row.host_id))];
}

/** Hosts that a port is bound to. */
export async function hostsOfPort(db: Reader, portId: string): Promise<string[]> {
  const rows = await db.selectFrom('port_binding').select('host_id').where('port_id', '=', portId).execute();
  return rows.map((row) => row.host_id);
}

/** Hosts with a port that uses a group. */
export async function hostsUsingGroup(db: Reader, groupId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('port_security_group as pg')
    .innerJoin('port_binding as b', 'b.port_id', 'pg.port_id')
    .select('b.host_id')
    .distinct()
    .where('pg.security_group_id', '=', groupId)
    .execute();
  return rows.map((row) => row.host_id);
}

/** Hosts with a port whose groups have a rule about the members of a group. */
export async function hostsFilteringByGroup(db: Reader, groupId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('security_group_rule as r')
    .innerJoin('port_security_group as pg', 'pg.security_group_id', 'r.security_group_id')
    .innerJoin('port_binding as b', 'b.port_id', 'pg.port_id')
    .select('b.host_id')
    .distinct()
    .where('r.remote_group_id', '=', groupId)
    .execute();
  return rows.map((row) => row.host_id);
}

/** Hosts of routers that have a port in a network. */
export async function routerHostsOfNetwork(db: Reader, networkId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('port as p')
    .innerJoin('router as r', 'r.id', 'p.device_id')
    .select('r.host_id')
    .distinct()
    .where('p.network_id', '=', networkId)
    .where('p.device_owner', 'in', ['network:router_interface', 'network:router_gateway'])
    .where('r.host_id', 'is not', null)
    .execute();
  return rows.map((row) => row.host_id!);
}

/** A router's host, other hosts that it is to come to or that have to give it up, and its networks. */
export async function routerPlace(
  db: Reader,
  routerId: string,
): Promise<{ hostId: string | null; otherHostIds: string[]; networkIds: string[] }> {
  const router = await db
    .selectFrom('router')
    .select(['host_id', 'next_host_id'])
    .where('id', '=', routerId)
    .executeTakeFirst();
  const withdrawals = await db
    .selectFrom('router_withdrawal')
    .select('host_id')
    .where('router_id', '=', routerId)
    .execute();
  const ports = await db
    .selectFrom('port')
    .select('network_id')
    .distinct()
    .where('device_id', '=', routerId)
    .where('device_owner', 'in', ['network:router_interface', 'network:router_gateway'])
    .execute();
  const next = router?.next_host_id ? [router.next_host_id] : [];
  return {
    hostId: router?.host_id ?? null,
    otherHostIds: [...next, ...withdrawals.map((row) => row.host_id)],
    networkIds: ports.map((row) => row.network_id),
  };
}

export async function networkOfSubnet(db: Reader, id: string): Promise<string | null> {
  const row = await db.selectFrom('subnet').select('network_id').where('id', '=', id).executeTakeFirst();
  return row?.network_id ?? null;
}

export async function routerOfFloatingIp(db: Reader, id: string): Promise<string | null> {
  const row = await db.selectFrom('floating_ip').select('router_id').where('id', '=', id).executeTakeFirst();
  return row?.router_id ?? null;
}
