import {
  deleteWithdrawal,
  routerPlacements,
  settledWithdrawals,
  unplacedRouters,
} from '../../store/network/router-place.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { isGone, placeRouter } from './place.js';
import { routerNeed } from './state.js';

/**
 * Looks at every router: those without a host, on hosts that are gone, removed or unable, or that wait for a word, are taken care
 * of. It needs no event, so whatever was missed is made good within one period.
 */
export async function sweepRouters(app: App): Promise<void> {
  const placements = await routerPlacements(app.store.read);
  const sights = new Map(
    [...new Set(placements.map((p) => p.host_id))].map((id) => [id, { gone: isGone(app, id) }]),
  );
  const troubled = placements.filter(
    (router) => routerNeed(router, sights.get(router.host_id)!, false).need !== 'nothing',
  );
  for (const { id } of troubled) await app.store.tx((tx) => placeRouter(tx, app, id));
  if ((await settledWithdrawals(app.store.read)).length) await app.store.tx((tx) => endWithdrawals(tx));
}

/** Places routers that had to wait for a host; called when hosts report. */
export async function placeWaitingRouters(tx: Tx, app: App): Promise<void> {
  for (const id of await unplacedRouters(tx)) await placeRouter(tx, app, id);
}

/** Ends withdrawals of former owners that have reported, or were removed. Those of owners end when the router moves on. */
export async function endWithdrawals(tx: Tx): Promise<void> {
  const settled = await settledWithdrawals(tx);
  if (settled.length === 0) return;
  const owners = new Map(
    (await routerPlacements(tx, [...new Set(settled.map((row) => row.router_id))])).map((r) => [
      r.id,
      r.host_id,
    ]),
  );
  for (const { router_id, host_id } of settled) {
    if (owners.get(router_id) === host_id) continue;
    await deleteWithdrawal(tx, router_id, host_id);
    await recordChange(tx, 'router', router_id);
  }
}
