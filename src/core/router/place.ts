import { routerPlace } from '../../store/network/placed.js';
import {
  claimRouter,
  floatingIpsOfRouter,
  hostOffers,
  hostsForRouter,
  unplacedRouters,
} from '../../store/network/router.js';
import { findRow } from '../../store/network/rows.js';
import { recordChange, type Tx } from '../../store/store.js';
import { holdRouter } from '../address/give-back.js';
import type { App } from '../app.js';

/**
 * Gives a router to a host that offers its external network's provider network: the one with fewest routers among those
 * that are up. Without such a host the router waits; it stays where it is as long as that host will do.
 */
export async function placeRouter(tx: Tx, app: App, routerId: string): Promise<void> {
  const router = await findRow(tx, 'router', routerId);
  if (!router) return;
  const external = router.gateway_network_id ? await findRow(tx, 'network', router.gateway_network_id) : null;
  const physical = external?.physical_network ?? null;
  if (router.host_id) {
    if (physical === null || (await hostOffers(tx, router.host_id, physical))) return;
  }
  const able = await hostsForRouter(tx, physical);
  const hostId = able.find((id) => app.hosts.isUp(id)) ?? able[0];
  if (!hostId) return;
  if (router.host_id) await holdRouter(tx, routerId, await floatingIpsOfRouter(tx, routerId));
  if (!(await claimRouter(tx, routerId, router.host_id, hostId))) return;
  await recordChange(tx, 'router', routerId);
  const { networkIds } = await routerPlace(tx, routerId);
  for (const id of networkIds) await recordChange(tx, 'network-ports', id);
}

/** Places routers that had to wait for a host; called when hosts report. */
export async function placeWaitingRouters(tx: Tx, app: App): Promise<void> {
  for (const id of await unplacedRouters(tx)) await placeRouter(tx, app, id);
}
