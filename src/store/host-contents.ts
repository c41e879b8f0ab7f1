import type { Reader, Tx } from './store.js';

/** Something on a host, by id and name. */
export interface OnHost {
  readonly id: string;
  readonly name: string;
}

/** What the database says is on a host. */
export interface HostContents {
  readonly servers: readonly OnHost[];
  readonly volumes: readonly OnHost[];
  readonly routers: readonly OnHost[];
  /** Keys of what the host has yet to destroy. */
  readonly tombstones: readonly string[];
}

/** Servers, volumes and routers of a host, with those that are leaving it, and what it has yet to destroy. */
export async function contentsOfHost(db: Reader, hostId: string): Promise<HostContents> {
  const servers = await db
    .selectFrom('server')
    .select(['id', 'name'])
    .where('host_id', '=', hostId)
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .execute();
  const volumes = await db
    .selectFrom('volume')
    .select(['id', 'name'])
    .where('host_id', '=', hostId)
    .orderBy('name')
    .execute();
  const routers = await db
    .selectFrom('router')
    .select(['id', 'name'])
    .where('host_id', '=', hostId)
    .orderBy('name')
    .execute();
  const tombstones = await db
    .selectFrom('tombstone')
    .select('object_key')
    .where('host_id', '=', hostId)
    .orderBy('object_key')
    .execute();
  return {
    servers,
    volumes: volumes.map(({ id, name }) => ({ id, name: name ?? '' })),
    routers,
    tombstones: tombstones.map((row) => row.object_key),
  };
}

/**
 * Takes every router off a host that is going; gives their ids, and those of routers that it still had to give up. They wait for
 * another one until somebody places them.
 */
export async function releaseRouters(tx: Tx, hostId: string): Promise<string[]> {
  const rows = await tx
    .updateTable('router')
    .set({ host_id: null })
    .where('host_id', '=', hostId)
    .returning('id')
    .execute();
  const leaving = await tx
    .deleteFrom('router_withdrawal')
    .where('host_id', '=', hostId)
    .returning('router_id')
    .execute();
  return [...new Set([...rows.map((row) => row.id), ...leaving.map((row) => row.router_id)])];
}

/** Names of the hosts of these routers, by router; null: none would do. */
export async function hostsOfRouters(
  db: Reader,
  routerIds: readonly string[],
): Promise<Map<string, string | null>> {
  if (routerIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('router as r')
    .leftJoin('host as h', 'h.id', 'r.host_id')
    .select(['r.id', 'h.name'])
    .where('r.id', 'in', [...routerIds])
    .execute();
  return new Map(rows.map((row) => [row.id, row.name]));
}
