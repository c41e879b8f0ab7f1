import { channel } from 'node:diagnostics_channel';
import type { HostFacts } from '../../protocol/messages.js';
import { type ComputeHost, computeHosts } from '../../store/compute/hosts.js';
import { hostsWithRoom, moreHostsThan, type Roomy } from '../../store/compute/room.js';
import type { Reader, Tx } from '../../store/store.js';
import { type Consumer, claimResources } from '../allocation/claim.js';
import { onHostFacts } from '../allocation/inventory.js';
import type { App } from '../app.js';
import { type Candidate, DEFAULT_ZONE, type PlacementRequest, type Verdict } from './candidate.js';
import { candidatesAmong } from './candidates.js';
import { judgeHosts } from './judge.js';

/**
 * Where something went, or that there was no host for it. Without a host, and in clouds of up to 32 hosts, every host has its
 * verdict; else those have one that it was compared with, since nobody needs to know of each of thousands why it was not as good.
 */
export interface Placement {
  readonly hostId: string | null;
  readonly verdicts: readonly Verdict[];
}

/** Up to this many hosts are all judged. */
const FEW_HOSTS = 32;
/** How many of the hosts with most room are compared with each other in larger clouds. */
const SHORTLIST = 32;

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
  const placement =
    (await placeAmongRoomiest(tx, app, consumer, request)) ??
    (await placeAmong(tx, await everyHost(tx, app), consumer, request));
  if (placements.hasSubscribers) placements.publish({ ms: performance.now() - began });
  return placement;
}

/**
 * Looks only at hosts with room, those with most of it first, a shortlist at a time. The database answers what it has an index
 * for; the predicates still have the last word. Null: all hosts have to be judged, since none was found so, or there are few, or
 * the request prefers hosts by other things than room.
 */
async function placeAmongRoomiest(
  tx: Tx,
  app: App,
  consumer: Consumer,
  request: PlacementRequest,
): Promise<Placement | null> {
  const { resources, availability_zone: zone, host, physical_networks, avoid, group } = request;
  if (group?.policy.startsWith('soft-') || !Object.values(resources).some((amount) => amount > 0))
    return null;
  if (!(await moreHostsThan(tx, FEW_HOSTS))) return null;
  const query = {
    resources,
    zone,
    unzoned: zone === DEFAULT_ZONE,
    host,
    physical_networks,
    only: onlyHosts(request),
  };
  let last: Roomy | null = null;
  for (let limit = SHORTLIST; ; limit *= 2) {
    const page: Roomy[] = await hostsWithRoom(tx, query, last, limit);
    const ids = page
      .map(({ host_id }) => host_id)
      .filter((id) => app.hosts.isUp(id) && avoid[id] === undefined);
    for (let at = 0; at < ids.length; at += SHORTLIST) {
      const some = await computeHosts(tx, ids.slice(at, at + SHORTLIST));
      const placement = await placeAmong(tx, await candidatesAmong(tx, app, some), consumer, request);
      if (placement.hostId !== null) return placement;
    }
    if (page.length < limit) return null;
    last = page.at(-1)!;
  }
}

/** The hosts that the request names, by itself or by a group that stays together; null: it names none. */
function onlyHosts({ only, group }: PlacementRequest): readonly string[] | null {
  if (only) return only.hosts;
  const members = Object.keys(group?.members ?? {});
  return group?.policy === 'affinity' && members.length > 0 ? members : null;
}

/** Hosts whose inventories are missing get them first. */
async function everyHost(tx: Tx, app: App): Promise<Candidate[]> {
  const hosts = await computeHosts(tx);
  for (const host of hosts) {
    if (host.facts && host.number === null)
      await onHostFacts(tx, app.config, host.id, JSON.parse(host.facts) as HostFacts);
  }
  return await candidatesAmong(tx, app, hosts);
}

async function placeAmong(
  tx: Tx,
  hosts: readonly Candidate[],
  consumer: Consumer,
  request: PlacementRequest,
): Promise<Placement> {
  const verdicts = judgeHosts(hosts, request);
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
