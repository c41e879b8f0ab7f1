import { hostName } from '../../../store/network/network.js';
import {
  deleteWithdrawal,
  type RouterPlacement,
  routerPlacements,
  withdrawalsOfRouters,
} from '../../../store/network/router-place.js';
import { routerPorts } from '../../../store/network/spec-rows.js';
import { findReports } from '../../../store/reports.js';
import type { Tx } from '../../../store/store.js';
import type { Outcome, Step, Task, TaskKind } from '../../../tasks/kind.js';
import type { App } from '../../app.js';
import { canLeave, chooseHost, giveTo, isGone, type MovePayload, ROUTER_MOVE, withdraw } from '../place.js';
import { prospects } from '../prospects.js';
import { receiptOf } from '../state.js';
import { askWitnesses, type Verdict } from '../witness.js';

/** A host that is up gives a router up within seconds; after this long it gets it back. */
const DEADLINE_S = 600;
/** The new host raises it in less than a second; whoever reads the task's error is to know when it does not. */
const RAISE_S = 60;
const LOOK_S = 2;
const ASK_AGAIN_S = 3;

type MoveStep = Step<MovePayload>;
type Router = RouterPlacement | undefined;

/**
 * A router moves: its host gives it up, and only when that is certain another one gets it under a newer epoch. Certain is the host's
 * own report, that the host was removed, or, where it is silent, that nobody answers for the router's addresses.
 */
export function routerMove(app: App): TaskKind<MovePayload> {
  const steps: Record<'withdraw' | 'receipt' | 'witness' | 'place' | 'raise', MoveStep> = {
    withdraw: {
      async run(tx, { object, payload }) {
        const router = await placementOf(tx, object.id);
        if (!router) return gone(object.id);
        // placed anew meanwhile: it is not where it was to be taken from
        if (isElsewhere(router, payload)) return { end: 'done' };
        if (router.host_id === null || !router.host_known) return { to: 'place' };
        // a host that is only silent may be well, and must not lose its routers for that when it is heard of again
        if (!router.withdrawing && isGone(app, router.host_id)) return { to: 'witness' };
        if (!(await canLeave(tx, app, router))) {
          const error = `no other host can have router ${object.id} now; it stays on host ${router.host_id}`;
          return { end: 'failed', error };
        }
        await withdraw(tx, router, payload.target ?? (await chooseHost(tx, app, router, null)));
        return { to: 'receipt' };
      },
      async undo(tx, { object, payload }) {
        const router = await placementOf(tx, object.id);
        if (!router || isElsewhere(router, payload) || !router.withdrawing || !router.host_id)
          return undefined;
        // under a new epoch: what it gave up it never runs again
        await giveTo(tx, router, router.host_id);
        return undefined;
      },
    },
    receipt: {
      async run(tx, { object, payload }) {
        const router = await placementOf(tx, object.id);
        if (!router) return gone(object.id);
        if (isElsewhere(router, payload) || payload.from === null) return { end: 'done' };
        const receipt = receiptOf({
          hostKnown: router.host_known,
          reported: await isReported(tx, object.id, payload.from),
          gone: isGone(app, payload.from),
        });
        switch (receipt) {
          case 'given':
          case 'removed':
            return { to: 'place' };
          case 'silent':
            return { to: 'witness' };
          case 'awaited':
            break;
        }
        const name = (await hostName(tx, payload.from)) ?? payload.from;
        return (
          (await giveBack(tx, app, router, payload)) ?? {
            wait: `for host ${name} to give the router up`,
            seconds: LOOK_S,
          }
        );
      },
    },
    witness: {
      async effect({ object, payload }) {
        return await askWitnesses(app, object.id, payload.from ?? '');
      },
      async run(tx, { object, payload }, effect) {
        const verdict = effect as Verdict;
        const router = await placementOf(tx, object.id);
        if (!router) return gone(object.id);
        if (isElsewhere(router, payload)) return { end: 'done' };
        // it came back while others were asked
        if (!isGone(app, payload.from) && router.host_known) {
          if (router.withdrawing) return { to: 'receipt', payload: { lost: false } };
          return payload.wanted ? { to: 'withdraw' } : { end: 'done' };
        }
        if (!verdict.gone) return { wait: verdict.why, seconds: ASK_AGAIN_S };
        app.log.warn('a router leaves a host that is gone', {
          router: object.id,
          host: payload.from,
          why: verdict.why,
        });
        // for when it is back
        await withdraw(tx, router, payload.target);
        return { to: 'place', payload: { lost: true } };
      },
    },
    place: {
      async run(tx, { object, payload }) {
        const router = await placementOf(tx, object.id);
        if (!router) return gone(object.id);
        if (isElsewhere(router, payload)) return { end: 'done' };
        // its silent host is back, and may run it until it reports that it does not
        const back = payload.lost && router.host_id !== null && router.host_known;
        if (back && !isGone(app, router.host_id)) return { to: 'receipt', payload: { lost: false } };
        const hostId = await chooseHost(tx, app, router, payload.target);
        if (hostId === null) {
          const again = await giveBack(tx, app, router, payload);
          if (again) return again;
          const { words } = await prospects(tx, app, router, null);
          return { wait: words, seconds: LOOK_S, payload: { waited: true } };
        }
        // what witnesses said may have ceased to be true while it waited
        if (back && payload.waited) return { to: 'witness', payload: { waited: false } };
        if (!(await giveTo(tx, router, hostId))) return { end: 'done' };
        // without its own word the old host has to give it up still, when it is back
        if (!payload.lost && payload.from) await deleteWithdrawal(tx, object.id, payload.from);
        return { to: 'raise', deadline: RAISE_S };
      },
    },
    raise: {
      async run(tx, task) {
        const [router] = await routerPlacements(tx, [task.object.id]);
        if (!router) return gone(task.object.id);
        const ports = await routerPorts(tx, [router.id]);
        const raised = ports.every((port) => port.status === 'ACTIVE' || port.admin_state_up === 0);
        if (raised || router.host_epoch !== task.payload.epoch + 1) return { end: 'done' };
        // the next move begins where this one led to
        if (isGone(app, router.host_id)) return { end: 'failed', error: `host ${router.host_id} went down` };
        const why = `host ${router.host_id} has not reported it up`;
        return task.overdue ? { end: 'failed', error: why } : { wait: why, seconds: LOOK_S };
      },
    },
  };
  return { name: ROUTER_MOVE, steps, first: 'withdraw', deadline: DEADLINE_S, uncancellable: null };
}

/**
 * What a host was to give up it gets again, under a new epoch, once all that could have had it instead are down, removed or unable:
 * waiting for them would leave the router nowhere. Nobody else has had it since, so there are never two. Null: not so.
 */
async function giveBack(
  tx: Tx,
  app: App,
  router: RouterPlacement,
  { from, lost }: MovePayload,
): Promise<Outcome<MovePayload> | null> {
  if (lost || from === null || router.host_id !== from || !router.host_known || !app.hosts.isUp(from))
    return null;
  if (!(await prospects(tx, app, router, from)).hopeless) return null;
  if (!(await giveTo(tx, router, from))) return null;
  const name = (await hostName(tx, from)) ?? from;
  const error = `no other host can have router ${router.id} now: ${name}, which was to give it up, has it again`;
  app.log.warn('a router goes back to its host: no other can have it', { router: router.id, host: from });
  return { end: 'failed', error };
}

async function placementOf(tx: Tx, routerId: string): Promise<Router> {
  return (await routerPlacements(tx, [routerId]))[0];
}

function isElsewhere(router: RouterPlacement, { from, epoch }: Task<MovePayload>['payload']): boolean {
  // a host that was removed leaves it without one
  return router.host_epoch !== epoch || (router.host_id !== null && router.host_id !== from);
}

function gone(routerId: string): Outcome<MovePayload> {
  return { end: 'failed', error: `router ${routerId} was deleted` };
}

/** Whether the host has reported that it gave the router up. */
async function isReported(tx: Tx, routerId: string, hostId: string): Promise<boolean> {
  const withdrawal = (await withdrawalsOfRouters(tx, [routerId])).find((row) => row.host_id === hostId);
  if (!withdrawal) return false;
  const [report] = await findReports(tx, hostId, [`router/${routerId}`]);
  return report?.state === 'applied' && report.revision === withdrawal.revision;
}
