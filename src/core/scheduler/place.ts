import { channel } from 'node:diagnostics_channel';
import type { HostFacts } from '../../protocol/messages.js';
import { type ComputeHost, computeHosts } from '../../store/compute/hosts.js';
import { readCapacities } from '../../store/compute/placement.js';
import type { Reader, Tx } from '../../store/store.js';
import { type Consumer, claimResources } from '../allocation/claim.js';
import { onHostFacts } from '../allocation/inventory.js';
import type { App } from '../app.js';
import type { Candidate, PlacementRequest, Verdict } from './candidate.js';
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
  const verdicts = judgeHosts(await candidates(tx, app, hosts), request);
  for (const verdict of verdicts) {
    // another transaction may have been faster: the next best host then
    if (verdict.ok && (await claimResources(tx, verdict.host_id, consumer, request.resources))) {
      return { hostId: verdict.host_id, verdicts };
    }
  }
  return { hostId: null, verdicts };
}

/** What would happen to such a request now, host by host; changes nothing. */
export async function explainPlacement(app: App, request: PlacementRequest): Promise<Verdict[]> {
  const db = app.store.read;
  return judgeHosts(await candidates(db, app, await computeHosts(db)), request);
}

async function candidates(db: Reader, app: App, hosts: readonly ComputeHost[]): Promise<Candidate[]> {
  const capacities = await readCapacities(db);
  return hosts.map((host) => ({
    id: host.id,
    name: host.name,
    up: app.hosts.isUp(host.id) && !host.forced_down,
    enabled: host.enabled === 1,
    disabled_reason: host.disabled_reason,
    zones: host.zones,
    physical_networks: host.physical_networks,
    capacities: capacities.get(host.id) ?? new Map(),
  }));
}
