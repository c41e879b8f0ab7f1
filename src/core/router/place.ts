import { withdrawnRouter } from '../../desired/router.js';
import { specObject } from '../../protocol/keys.js';
import { routerPlace } from '../../store/network/placed.js';
import { setPortStatus } from '../../store/network/port.js';
import { floatingIpsOfRouter } from '../../store/network/router.js';
import {
  claimRouter,
  deleteWithdrawal,
  hostsForRouter,
  insertWithdrawal,
  type RouterPlacement,
  routerPlacements,
  setNextHost,
  withdrawalsOfRouters,
} from '../../store/network/router-place.js';
import { routerPorts } from '../../store/network/spec-rows.js';
import { recordChange, type Tx } from '../../store/store.js';
import { holdRouter } from '../address/give-back.js';
import type { App } from '../app.js';
import { routerNeed } from './state.js';

/** The durable move of a router from its host to another; see tasks/move.ts. */
export const ROUTER_MOVE = 'router.move';

/** What a move keeps. */
export interface MovePayload {
  /** Host to go to; null: the least loaded able one. */
  readonly target: string | null;
  readonly why: string;
  /** It has to leave even if its host is well. */
  readonly wanted: boolean;
  /** Owner that gives the router up, and the epoch that it gives up. */
  readonly from: string | null;
  readonly epoch: number;
  /** The old host gave no receipt: others found that nobody answers for the router. */
  readonly lost?: boolean;
  /** There was no host for it when it had left its old one. */
  readonly waited?: boolean;
}

/**
 * Brings a router to where it can be, as far as that can be done at once: one without a host gets one, one that has to leave
 * begins to move. What is well stays. To be called whenever a router, its host or its external network may have changed.
 */
export async function placeRouter(tx: Tx, app: App, routerId: string): Promise<void> {
  const [router] = await routerPlacements(tx, [routerId]);
  if (!router) return;
  const need = routerNeed(
    router,
    { gone: isGone(app, router.host_id) },
    await isWithdrawnElsewhere(tx, router),
  );
  switch (need.need) {
    case 'place': {
      // a move under way places it by itself
      if (await app.tasks.wake(tx, { kind: 'router', id: routerId })) return;
      const hostId = await chooseHost(tx, app, router, null);
      if (hostId !== null) await giveTo(tx, router, hostId);
      return;
    }
    case 'move':
      if (!(await canLeave(tx, app, router))) return;
      await beginMove(tx, app, router, null, need.why, { wanted: need.wanted });
      return;
    case 'confirm':
      // nobody else has it: a newer epoch is the word that its host waits for
      if (router.host_id !== null) await giveTo(tx, router, router.host_id);
  }
}

/** Begins to move a router away from its host, unless it is on its way already. */
export async function beginMove(
  tx: Tx,
  app: App,
  router: RouterPlacement,
  target: string | null,
  why: string,
  more: { readonly wanted?: boolean; readonly requestId?: string } = {},
): Promise<void> {
  const object = { kind: 'router', id: router.id };
  if (await app.tasks.rows.activeOf(tx, object.kind, object.id)) return;
  const { wanted = true, requestId = null } = more;
  const payload: MovePayload = { target, why, wanted, from: router.host_id, epoch: router.host_epoch };
  await app.tasks.start(tx, { kind: ROUTER_MOVE, object, payload, projectId: null, requestId });
}

/** Has the router's host give it up; its spec says so from now on. May be repeated. */
export async function withdraw(tx: Tx, router: RouterPlacement, target: string | null): Promise<void> {
  if (router.host_id === null) return;
  // its addresses stay quarantined for others until the host has reported
  await holdRouter(tx, router.id, await floatingIpsOfRouter(tx, router.id));
  const { revision } = specObject<'router'>(withdrawnRouter(router.id, router.host_epoch));
  await insertWithdrawal(tx, {
    router_id: router.id,
    host_id: router.host_id,
    epoch: router.host_epoch,
    revision,
  });
  await setNextHost(tx, router.id, target === router.host_id ? null : target);
  await markDown(tx, router.id);
  await recordMove(tx, router.id);
}

/** Makes a host the owner of a router under the next epoch. False when somebody else was faster. */
export async function giveTo(tx: Tx, router: RouterPlacement, hostId: string): Promise<boolean> {
  if (!(await claimRouter(tx, router, hostId))) return false;
  // the newer epoch ends what it may have had to give up
  await deleteWithdrawal(tx, router.id, hostId);
  await markDown(tx, router.id);
  await recordMove(tx, router.id);
  return true;
}

/**
 * The host that is to have a router: the wanted one if it can, else the least loaded that can, of all but `except`; null when none
 * can now.
 */
export async function chooseHost(
  tx: Tx,
  app: App,
  router: RouterPlacement,
  wanted: string | null,
  except: string | null = null,
): Promise<string | null> {
  const able = (await hostsForRouter(tx, router.physical_network)).filter(
    (id) => id !== except && app.hosts.isUp(id),
  );
  return able.find((id) => id === wanted) ?? able[0] ?? null;
}

/**
 * Whether a router may be taken from its host: one whose provider network is missing there still serves its networks, so without
 * another host that can have it nothing is gained. The next look begins its move when there is one.
 */
export async function canLeave(tx: Tx, app: App, router: RouterPlacement): Promise<boolean> {
  if (router.withdrawing || router.host_able || !router.host_known) return true;
  return (await chooseHost(tx, app, router, null, router.host_id)) !== null;
}

/** Whether a host has been silent for so long that its routers may move away. */
export function isGone(app: App, hostId: string | null): boolean {
  if (hostId === null || !app.hosts.isDown(hostId)) return false;
  const { host_down_after, router_failover_delay } = app.config;
  // no contact in this process's life: it is silent for at least as long as the process has been there
  const silence = app.hosts.silence(hostId) ?? performance.now();
  return router_failover_delay === 0 || silence >= (host_down_after + router_failover_delay) * 1000;
}

/** Whether a host other than the owner may still run the router. */
export async function isWithdrawnElsewhere(tx: Tx, router: RouterPlacement): Promise<boolean> {
  const withdrawals = await withdrawalsOfRouters(tx, [router.id]);
  return withdrawals.some((withdrawal) => withdrawal.host_id !== router.host_id);
}

async function markDown(tx: Tx, routerId: string): Promise<void> {
  const ports = await routerPorts(tx, [routerId]);
  await setPortStatus(
    tx,
    ports.map((port) => port.id),
    'DOWN',
  );
}

async function recordMove(tx: Tx, routerId: string): Promise<void> {
  await recordChange(tx, 'router', routerId);
  const { networkIds } = await routerPlace(tx, routerId);
  for (const id of networkIds) await recordChange(tx, 'network-ports', id);
}
