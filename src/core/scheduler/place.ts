import { channel } from 'node:diagnostics_channel';
import type { HostFacts } from '../../protocol/messages.js';
import { type ComputeHost, computeHosts } from '../../store/compute/hosts.js';
import type { Reader, Tx } from '../../store/store.js';
import { type Consumer, claimResources } from '../allocation/claim.js';
import { onHostFacts } from '../allocation/inventory.js';
import type { App } from '../app.js';
import type { PlacementRequest, Verdict } from './candidate.js';
import { candidatesAmong } from './candidates.js';
import { judgeHosts } from './judge.js';

/** Where a server went, or that there was no host for it; with every host's verdict either way. */
export interface Placement {
  readonly hostId: string | null;
  readonly verdicts: readonly Verdict[];
}

/** Each placement publishes its milliseconds here, for whoever measures. */
const placements = channel('maru:placement');

/** Finds a host and claims its capacity in the transaction; hostId null when no host will do. */
export async function placeServer(
  tx: Tx,
  app: App,
  consumer: Consumer,
  request: PlacementRequest,
): Promise<Placement> {
  const began = performance.now();
  const placement = await place(tx, app, consumer, request);
  if (placements.hasSubscribers) placements.publish({ ms: performance.now() - began });
  return placement;
}

async function place(tx: Tx, app: App, consumer: Consumer, request: PlacementRequest): Promise<Placement> {
  const hosts = await computeHosts(tx);
  for (const host of hosts) {
    if (host.facts && host.number === null)
      await onHostFacts(tx, app.config, host.id, JSON.parse(host.facts) as HostFacts);
  }
  const verdicts = judgeHosts(await candidatesAmong(tx, app, hosts), request);
  for (const [i, verdict] of verdicts.entries()) {
    if (!verdict.ok) break;
    if (await claimResources(tx, verdict.host_id, consumer, request.resources)) {
      return { hostId: verdict.host_id, verdicts };
    }
    // another transaction was faster: the next best host then
    const reason = 'another request took its last capacity at the same moment';
    verdicts[i] = { ...verdict, ok: false, reasons: [{ predicate: 'claim', reason }] };
  }
  return { hostId: null, verdicts };
}

/**
 * What would happen to such a request now, host by host; changes nothing. What `except` holds counts as free: for asking
 * about a server that runs already.
 */
export async function explainPlacement(
  db: Reader,
  app: App,
  request: PlacementRequest,
  except: string | null = null,
): Promise<Verdict[]> {
  const hosts: readonly ComputeHost[] = await computeHosts(db);
  return judgeHosts(await candidatesAmong(db, app, hosts, except), request);
}
