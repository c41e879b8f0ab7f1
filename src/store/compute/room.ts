import { type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import type { Database } from '../database.js';
import type { Reader } from '../store.js';

/** Conditions on hosts that an index or a join can answer. */
export interface RoomQuery {
  /** Amounts by resource class; at least one above zero. */
  readonly resources: Readonly<Record<string, number>>;
  /** Zone that the host has to be in; null: any. */
  readonly zone: string | null;
  /** Hosts without a zone of their own will do as well. */
  readonly unzoned: boolean;
  /** Name of the only host that will do; null: any. */
  readonly host: string | null;
  readonly physical_networks: readonly string[];
  /** Only these hosts; null: any. */
  readonly only: readonly string[] | null;
}

/** A host with room, and how much of the class that led the search it has left. */
export interface Roomy {
  readonly host_id: string;
  readonly free: number;
}

/** By this class hosts are searched when it is asked for, else by the first that is. */
const LEADING = 'MEMORY_MB';

/**
 * Enabled hosts that have what is wanted, most free first, `limit` of them after `after`: one query along an index, which costs
 * the same however many hosts there are.
 */
export async function hostsWithRoom(
  db: Reader,
  query: RoomQuery,
  after: Roomy | null,
  limit: number,
): Promise<Roomy[]> {
  const wanted = Object.entries(query.resources).filter(([, amount]) => amount > 0);
  const [lead, amount] = wanted.find(([name]) => name === LEADING) ?? wanted[0]!;
  const free = sql<number>`l.capacity - l.used`;
  let q = db
    .selectFrom('inventory as l')
    .innerJoin('host as h', 'h.id', 'l.host_id')
    .leftJoin('host_number as n', 'n.host_id', 'h.id')
    .select(['l.host_id', free.as('free')])
    .where('l.resource_class', '=', lead)
    .where(free, '>=', amount)
    .where('l.max_unit', '>=', amount)
    .where('h.enabled', '=', 1)
    .where((eb) => eb.or([eb('n.forced_down', 'is', null), eb('n.forced_down', '=', 0)]));
  for (const [name, least] of wanted) {
    if (name === lead) continue;
    q = q.where((eb) =>
      eb.exists(
        eb
          .selectFrom('inventory as i')
          .select('i.host_id')
          .whereRef('i.host_id', '=', 'l.host_id')
          .where('i.resource_class', '=', name)
          // put so that no index of what is free tempts the planner away from the host's own row
          .where(sql<SqlBool>`i.used + ${least} <= i.capacity`)
          .where('i.max_unit', '>=', least),
      ),
    );
  }
  for (const name of query.physical_networks) {
    q = q.where((eb) =>
      eb.exists(
        eb
          .selectFrom('host_physical_network as p')
          .select('p.host_id')
          .whereRef('p.host_id', '=', 'l.host_id')
          .where('p.physical_network', '=', name),
      ),
    );
  }
  if (query.only) q = q.where('l.host_id', 'in', query.only.length ? [...query.only] : ['']);
  if (query.host !== null) q = q.where('h.name', '=', query.host);
  if (query.zone !== null) q = q.where((eb) => inZone(eb, query.zone!, query.unzoned));
  if (after) {
    q = q
      .where(free, '<=', after.free)
      .where((eb) => eb.or([eb(free, '<', after.free), eb('l.host_id', '>', after.host_id)]));
  }
  return await q.orderBy(free, 'desc').orderBy('l.host_id').limit(limit).execute();
}

function inZone(
  outer: ExpressionBuilder<Database & { l: Database['inventory'] }, 'l'>,
  zone: string,
  unzoned: boolean,
) {
  const zones = () =>
    outer
      .selectFrom('aggregate_host as ah')
      .innerJoin('aggregate as a', 'a.id', 'ah.aggregate_id')
      .select('ah.host_id')
      .whereRef('ah.host_id', '=', 'l.host_id');
  const inside = outer.exists(zones().where('a.availability_zone', '=', zone));
  if (!unzoned) return inside;
  return outer.or([inside, outer.not(outer.exists(zones().where('a.availability_zone', 'is not', null)))]);
}

/** True when there are more hosts than `count`. */
export async function moreHostsThan(db: Reader, count: number): Promise<boolean> {
  const rows = await db
    .selectFrom('host')
    .select('id')
    .limit(count + 1)
    .execute();
  return rows.length > count;
}
