import { findHost, findHostByName } from '../../store/hosts.js';
import { hostName } from '../../store/network/network.js';
import {
  hostsForRouter,
  hostsOffering,
  type RouterPlacement,
  routerPlacements,
  withdrawalsOfRouters,
} from '../../store/network/router-place.js';
import { findRow, findRows } from '../../store/network/rows.js';
import type { Reader } from '../../store/store.js';
import type { TaskRow } from '../../store/tasks.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict, notFound } from '../errors.js';
import { routerNotFound } from '../network/problems.js';
import { beginMove, chooseHost } from './place.js';

/** Where a router is, for operators. */
export interface RouterPlace {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly host: string | null;
  readonly epoch: number;
  readonly physical_network: string | null;
  /** `up` on its host, `moving`, `waiting` for a host that can have it, `down`: its host is silent, or `contested`. */
  readonly state: 'up' | 'moving' | 'waiting' | 'down' | 'contested';
  /** What its move waits for, or where it goes. */
  readonly note: string;
  /** Hosts that have not reported yet that they gave it up. */
  readonly to_be_given_up_by: readonly string[];
}

/** All routers, or one. */
export async function routerPlaces(app: App, routerId?: string): Promise<RouterPlace[]> {
  const db = app.store.read;
  const placements = await routerPlacements(db, routerId === undefined ? undefined : [routerId]);
  const rows = new Map(
    (
      await findRows(
        db,
        'router',
        placements.map((p) => p.id),
      )
    ).map((row) => [row.id, row]),
  );
  const withdrawals = await withdrawalsOfRouters(
    db,
    placements.map((p) => p.id),
  );
  const names = await hostNames(db, [
    ...placements.map((p) => p.host_id),
    ...withdrawals.map((w) => w.host_id),
  ]);
  const places: RouterPlace[] = [];
  for (const placement of placements) {
    const row = rows.get(placement.id);
    if (!row) continue;
    const task = await app.tasks.rows.activeOf(db, 'router', placement.id);
    places.push({
      id: placement.id,
      name: row.name,
      project_id: row.project_id,
      host: placement.host_id === null ? null : (names.get(placement.host_id) ?? placement.host_id),
      epoch: placement.host_epoch,
      physical_network: placement.physical_network,
      state: stateOf(app, placement, task),
      note: task?.waiting_for ?? (await whyWaiting(db, app, placement)),
      to_be_given_up_by: withdrawals
        .filter((withdrawal) => withdrawal.router_id === placement.id)
        .map(({ host_id }) => names.get(host_id) ?? host_id),
    });
  }
  return places;
}

/** One router's place; 404 when there is none. */
export async function routerPlace(app: App, routerId: string): Promise<RouterPlace> {
  const [place] = await routerPlaces(app, routerId);
  if (!place) throw routerNotFound(routerId);
  return place;
}

/**
 * Begins to move a router to a host, or to the least loaded one that can have it. Its connections are interrupted from when its host has
 * given it up until the next has raised it. Throws 409 when it is moving already, or the host cannot have it.
 */
export async function moveRouter(
  app: App,
  ctx: Context,
  routerId: string,
  host: string | null,
): Promise<void> {
  await app.store.tx(async (tx) => {
    await app.store.lockFamily(tx, routerId, 'router');
    const [router] = await routerPlacements(tx, [routerId]);
    if (!router || !(await findRow(tx, 'router', routerId))) throw routerNotFound(routerId);
    const active = await app.tasks.rows.activeOf(tx, 'router', routerId);
    if (active) {
      throw conflict(
        `Router ${routerId} is moving already, and waits ${active.waiting_for ?? 'for its next step'}: maru task show ${active.id}.`,
      );
    }
    const target = host === null ? null : await hostNamed(tx, host);
    if (target !== null && target === router.host_id)
      throw conflict(`Router ${routerId} is on ${host} already.`);
    const chosen = await chooseHost(tx, app, router, target);
    if (target !== null && chosen !== target) {
      const needs = router.physical_network ? ` and has provider network '${router.physical_network}'` : '';
      throw conflict(
        `Router ${routerId} can only go to an enabled host that is up${needs}: ${host} will not do.`,
      );
    }
    const other = target ?? (await otherHost(tx, app, router));
    if (other === null) throw conflict(`There is no other host that can have router ${routerId}.`);
    await beginMove(tx, app, router, other, 'an operator wants it', { requestId: ctx.requestId });
  });
}

/** What a router waits for that no task moves: a host, or a better one; empty when it has one that can do all. */
async function whyWaiting(db: Reader, app: App, router: RouterPlacement): Promise<string> {
  const alias = router.physical_network;
  if (router.host_id !== null) {
    if (router.host_able || !router.host_known) return '';
    return `for an enabled host that is up with provider network '${alias}': its own has it no more, and nothing outside is reached`;
  }
  const enabled = await hostsForRouter(db, alias);
  if (enabled.some((id) => app.hosts.isUp(id))) return 'a host is about to get it';
  if (alias === null) return 'no enabled host is up';
  const offering = await hostsOffering(db, alias);
  if (offering.length === 0) return `no host has provider network '${alias}': maru status`;
  const names = await hostNames(db, offering);
  return `no host with provider network '${alias}' is enabled and up: it is on ${[...names.values()].join(', ')}`;
}

async function otherHost(
  tx: Parameters<typeof chooseHost>[0],
  app: App,
  router: RouterPlacement,
): Promise<string | null> {
  return await chooseHost(tx, app, router, null, router.host_id);
}

function stateOf(app: App, router: RouterPlacement, task: TaskRow | undefined | null): RouterPlace['state'] {
  if (task) return 'moving';
  if (router.host_id === null) return 'waiting';
  if (router.contested) return 'contested';
  return app.hosts.isUp(router.host_id) ? 'up' : 'down';
}

async function hostNamed(db: Reader, nameOrId: string): Promise<string> {
  const host = (await findHostByName(db, nameOrId)) ?? (await findHost(db, nameOrId));
  if (!host) throw notFound(`There is no host '${nameOrId}'; maru host list shows them.`);
  return host.id;
}

async function hostNames(db: Reader, ids: readonly (string | null)[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const id of new Set(ids)) {
    const name = id === null ? null : await hostName(db, id);
    if (id !== null && name) names.set(id, name);
  }
  return names;
}
