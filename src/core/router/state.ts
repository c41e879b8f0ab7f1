import type { RouterPlacement } from '../../store/network/router-place.js';

/** What is known of a router's host besides the rows. */
export interface HostSight {
  /** Silent for so long that its routers may move away, if nobody answers for them. */
  readonly gone: boolean;
}

/** What has to be done about a router; `why` is for people. */
export type RouterNeed =
  | { readonly need: 'nothing' }
  /** It is nowhere: any able host may take it at once. */
  | { readonly need: 'place' }
  /** It has to leave its host, which first has to give it up or to be found gone; not `wanted`: only if it is gone. */
  | { readonly need: 'move'; readonly why: string; readonly wanted: boolean }
  /** Its host waits for the word that no other host runs it. */
  | { readonly need: 'confirm' };

const NOTHING: RouterNeed = { need: 'nothing' };

/**
 * Decides from a router's rows alone, the same for every event and after every restart. A disabled host keeps its routers; one
 * that lacks the provider network, is silent or was removed does not, as far as there is another one.
 */
export function routerNeed(
  router: RouterPlacement,
  sight: HostSight,
  withdrawnElsewhere: boolean,
): RouterNeed {
  if (router.host_id === null) return { need: 'place' };
  // a removed host gives nothing up any more: that it was removed is the receipt
  if (!router.host_known) return { need: 'place' };
  if (router.withdrawing) return { need: 'move', why: 'its host was told to give it up', wanted: true };
  if (!router.host_able)
    return {
      need: 'move',
      why: `its host has no provider network '${router.physical_network}'`,
      wanted: true,
    };
  if (sight.gone) return { need: 'move', why: 'its host is down', wanted: false };
  if (router.contested && !withdrawnElsewhere) return { need: 'confirm' };
  return NOTHING;
}

/** How far a withdrawal is: the receipt is there, the host was removed, it is silent, or it is still to answer. */
export type Receipt = 'given' | 'removed' | 'silent' | 'awaited';

/** Decides what a withdrawing host's receipt is, from rows and sight. */
export function receiptOf(facts: {
  readonly hostKnown: boolean;
  /** The host reported the withdrawal as applied. */
  readonly reported: boolean;
  readonly gone: boolean;
}): Receipt {
  if (facts.reported) return 'given';
  if (!facts.hostKnown) return 'removed';
  return facts.gone ? 'silent' : 'awaited';
}
