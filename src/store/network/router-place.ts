import { sql } from 'kysely';
import { nowText, type Reader, recordChange, type Tx } from '../store.js';
import type { RouterTable, RouterWithdrawalTable } from '../tables/network.js';

/** Enabled hosts that offer a provider network (any host when null), those with fewest routers first. */
export async function hostsForRouter(db: Reader, physicalNetwork: string | null): Promise<string[]> {
  let query = db
    .selectFrom('host as h')
    .leftJoin('router as r', 'r.host_id', 'h.id')
    .select(['h.id', sql<number>`count(r.id)`.as('routers')])
    .where('h.enabled', '=', 1)
    .groupBy('h.id')
    .orderBy('routers')
    .orderBy('h.id');
  if (physicalNetwork !== null) {
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom('host_physical_network as pn')
          .select('pn.host_id')
          .whereRef('pn.host_id', '=', 'h.id')
          .where('pn.physical_network', '=', physicalNetwork),
      ),
    );
  }
  return (await query.execute()).map((row) => row.id);
}

export async function hostOffers(db: Reader, hostId: string, physicalNetwork: string): Promise<boolean> {
  const row = await db
    .selectFrom('host_physical_network')
    .select('host_id')
    .where('host_id', '=', hostId)
    .where('physical_network', '=', physicalNetwork)
    .executeTakeFirst();
  return row !== undefined;
}

/** All hosts that offer a provider network, enabled or not. */
export async function hostsOffering(db: Reader, physicalNetwork: string): Promise<string[]> {
  const rows = await db
    .selectFrom('host_physical_network')
    .select('host_id')
    .where('physical_network', '=', physicalNetwork)
    .orderBy('host_id')
    .execute();
  return rows.map((row) => row.host_id);
}

/**
 * Hosts with a guest's port on a network that they had before a time: those that another host knew of as long as it was heard of then,
 * and can therefore reach.
 */
export async function hostsOnNetworkSince(db: Reader, networkId: string, before: string): Promise<string[]> {
  const rows = await db
    .selectFrom('port as p')
    .innerJoin('port_binding as b', 'b.port_id', 'p.id')
    .select('b.host_id')
    .distinct()
    .where('p.network_id', '=', networkId)
    .where('p.server_id', 'is not', null)
    .where('b.created_at', '<', before)
    .orderBy('b.host_id')
    .execute();
  return rows.map((row) => row.host_id);
}

/** Where a router is and what its host could be asked to do about it. */
export interface RouterPlacement extends Pick<RouterTable, 'id' | 'host_id' | 'host_epoch' | 'next_host_id'> {
  /** The host is one of ours still. */
  readonly host_known: boolean;
  /** Provider network of its gateway; null: it has none. */
  readonly physical_network: string | null;
  /** The host offers that network. */
  readonly host_able: boolean;
  /** The host has to give it up. */
  readonly withdrawing: boolean;
  /** The host reports that somebody else answers for one of its addresses. */
  readonly contested: boolean;
}

/** Placements of routers, of all when no ids are given; oldest routers first. */
export async function routerPlacements(
  db: Reader,
  routerIds?: readonly string[],
): Promise<RouterPlacement[]> {
  if (routerIds?.length === 0) return [];
  let query = db
    .selectFrom('router as r')
    .leftJoin('host as h', 'h.id', 'r.host_id')
    .leftJoin('network as n', 'n.id', 'r.gateway_network_id')
    .leftJoin('host_physical_network as pn', (join) =>
      join.onRef('pn.host_id', '=', 'r.host_id').onRef('pn.physical_network', '=', 'n.physical_network'),
    )
    .leftJoin('router_withdrawal as w', (join) =>
      join.onRef('w.router_id', '=', 'r.id').onRef('w.host_id', '=', 'r.host_id'),
    )
    .leftJoin('object_report as o', (join) =>
      join
        .onRef('o.host_id', '=', 'r.host_id')
        .on(sql`o.object_key`, '=', sql`'router/' || r.id`)
        .on('o.state', '=', 'error'),
    )
    .select([
      'r.id',
      'r.host_id',
      'r.host_epoch',
      'r.next_host_id',
      'h.id as known_host',
      'n.physical_network',
      'pn.host_id as able_host',
      'w.host_id as withdrawing_host',
      'o.error',
    ])
    .orderBy('r.created_at')
    .orderBy('r.id');
  if (routerIds) query = query.where('r.id', 'in', [...routerIds]);
  return (await query.execute()).map(({ known_host, able_host, withdrawing_host, error, ...row }) => ({
    ...row,
    host_known: known_host !== null,
    host_able: row.physical_network === null || able_host !== null,
    withdrawing: withdrawing_host !== null,
    contested: error !== null && (JSON.parse(error) as { code?: string }).code === 'address-in-use',
  }));
}

/** Routers that no host runs yet. */
export async function unplacedRouters(db: Reader): Promise<string[]> {
  const rows = await db
    .selectFrom('router')
    .select('id')
    .where('host_id', 'is', null)
    .orderBy('created_at')
    .execute();
  return rows.map((row) => row.id);
}

/** Gives a router to a host under the next epoch, if it is still where it was. */
export async function claimRouter(
  tx: Tx,
  router: Pick<RouterTable, 'id' | 'host_id' | 'host_epoch'>,
  hostId: string,
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('router')
    .set({ host_id: hostId, host_epoch: router.host_epoch + 1, next_host_id: null })
    .where('id', '=', router.id)
    .where('host_epoch', '=', router.host_epoch)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** More moves than happen between a backup and its restoration. */
const SKIPPED_EPOCHS = 1000;

/**
 * Raises the epochs of all routers: hosts remember those that they have seen, and a restored database knows only those from before the
 * backup.
 */
export async function skipRouterEpochs(tx: Tx): Promise<void> {
  const rows = await tx
    .updateTable('router')
    .set({ host_epoch: sql<number>`host_epoch + ${SKIPPED_EPOCHS}` })
    .returning('id')
    .execute();
  for (const { id } of rows) await recordChange(tx, 'router', id);
}

/** Names the host that a router is to move to. */
export async function setNextHost(tx: Tx, routerId: string, hostId: string | null): Promise<void> {
  await tx.updateTable('router').set({ next_host_id: hostId }).where('id', '=', routerId).execute();
}

/** Has a host give up a router: from now on its spec says so. */
export async function insertWithdrawal(
  tx: Tx,
  withdrawal: Omit<RouterWithdrawalTable, 'created_at'>,
): Promise<void> {
  const { epoch, revision } = withdrawal;
  const created_at = nowText();
  await tx
    .insertInto('router_withdrawal')
    .values({ ...withdrawal, created_at })
    .onConflict((c) => c.columns(['router_id', 'host_id']).doUpdateSet({ epoch, revision, created_at }))
    .execute();
}

/** A host has given a router up, or gets it again under a newer epoch. */
export async function deleteWithdrawal(tx: Tx, routerId: string, hostId: string): Promise<void> {
  await tx
    .deleteFrom('router_withdrawal')
    .where('router_id', '=', routerId)
    .where('host_id', '=', hostId)
    .execute();
}

/** Hosts that are to give routers up. */
export async function withdrawalsOfRouters(
  db: Reader,
  routerIds: readonly string[],
): Promise<RouterWithdrawalTable[]> {
  if (routerIds.length === 0) return [];
  return await db
    .selectFrom('router_withdrawal')
    .selectAll()
    .where('router_id', 'in', [...routerIds])
    .orderBy('created_at')
    .orderBy('host_id')
    .execute();
}

/** Withdrawals that are done: the host has reported it, or is none of ours any more. */
export async function settledWithdrawals(
  db: Reader,
): Promise<(RouterWithdrawalTable & { readonly host_known: boolean })[]> {
  const rows = await db
    .selectFrom('router_withdrawal as w')
    .leftJoin('host as h', 'h.id', 'w.host_id')
    .leftJoin('object_report as o', (join) =>
      join
        .onRef('o.host_id', '=', 'w.host_id')
        .on(sql`o.object_key`, '=', sql`'router/' || w.router_id`)
        .onRef('o.revision', '=', 'w.revision')
        .on('o.state', '=', 'applied'),
    )
    .selectAll('w')
    .select('h.id as known_host')
    .where((eb) => eb.or([eb('h.id', 'is', null), eb('o.host_id', 'is not', null)]))
    .execute();
  return rows.map(({ known_host, ...row }) => ({ ...row, host_known: known_host !== null }));
}
