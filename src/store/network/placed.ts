import type { Reader } from '../store.js';

/** A network that is live on a host, because of a guest's port or a router there. */
export interface Presence {
  readonly network_id: string;
  readonly host_id: string;
}

/** What makes networks live on hosts; both restrictions are optional. */
export async function presences(
  db: Reader,
  only: { readonly hostId?: string; readonly networkIds?: readonly string[] },
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
  if (only.hostId !== undefined) {
    guests = guests.where('b.host_id', '=', only.hostId);
    routers = routers.where('r.host_id', '=', only.hostId);
  }
  if (only.networkIds) {
    guests = guests.where('p.network_id', 'in', [...only.networkIds]);
    routers = routers.where('p.network_id', 'in', [...only.networkIds]);
  }
  const rows = await guests.union(routers as typeof guests).execute();
  return rows as Presence[];
}

/** Networks that are live on a host. */
export async function networksOnHost(db: Reader, hostId: string): Promise<string[]> {
  return [...new Set((await presences(db, { hostId })).map((row) => row.network_id))];
}

/** Hosts on which any of the networks is live. */
export async function hostsOfNetworks(db: Reader, networkIds: readonly string[]): Promise<string[]> {
  return [...new Set((await presences(db, { networkIds })).map((row) => row.host_id))];
}

/** Hosts with a port that uses a group, or a group with a rule about it. */
export async function hostsOfGroup(db: Reader, groupId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('port_security_group as pg')
    .innerJoin('port_binding as b', 'b.port_id', 'pg.port_id')
    .leftJoin('security_group_rule as r', 'r.security_group_id', 'pg.security_group_id')
    .select('b.host_id')
    .distinct()
    .where((eb) => eb.or([eb('pg.security_group_id', '=', groupId), eb('r.remote_group_id', '=', groupId)]))
    .execute();
  return rows.map((row) => row.host_id);
}

/** A router's host, and its networks. */
export async function routerPlace(
  db: Reader,
  routerId: string,
): Promise<{ hostId: string | null; networkIds: string[] }> {
  const router = await db
    .selectFrom('router')
    .select('host_id')
    .where('id', '=', routerId)
    .executeTakeFirst();
  const ports = await db
    .selectFrom('port')
    .select('network_id')
    .distinct()
    .where('device_id', '=', routerId)
    .where('device_owner', 'in', ['network:router_interface', 'network:router_gateway'])
    .execute();
  return { hostId: router?.host_id ?? null, networkIds: ports.map((row) => row.network_id) };
}

export async function networkOf(db: Reader, table: 'port' | 'subnet', id: string): Promise<string | null> {
  const row = await db.selectFrom(table).select('network_id').where('id', '=', id).executeTakeFirst();
  return row?.network_id ?? null;
}

export async function routerOfFloatingIp(db: Reader, id: string): Promise<string | null> {
  const row = await db.selectFrom('floating_ip').select('router_id').where('id', '=', id).executeTakeFirst();
  return row?.router_id ?? null;
}
