import { capacityOf } from '../allocation/claim.js';
import type { Candidate, PlacementRequest, Verdict } from './candidate.js';
import { judgeHosts } from './judge.js';

/** How many servers like the requested one the hosts would take, each and altogether. */
export function howMany(
  hosts: readonly Candidate[],
  verdicts: readonly Verdict[],
  request: PlacementRequest,
): { readonly of: ReadonlyMap<string, number>; readonly total: number } {
  const able = new Set(verdicts.filter(({ ok }) => ok).map(({ host_id }) => host_id));
  const of = new Map(hosts.map((host) => [host.id, able.has(host.id) ? roomOn(host, request) : 0]));
  const rooms = [...of.values()];
  // the first member of a group that stays together decides for the others
  const together = request.group?.policy === 'affinity' && Object.keys(request.group.members).length === 0;
  const total = together ? Math.max(0, ...rooms) : rooms.reduce((sum, n) => sum + n, 0);
  return { of, total };
}

/** Places servers one after another without claiming anything; gives how many went to which host, by name. */
export function simulate(
  hosts: readonly Candidate[],
  request: PlacementRequest,
  count: number,
): Record<string, number> {
  const placements: Record<string, number> = {};
  let now = [...hosts];
  let wish = request;
  for (let i = 0; i < count; i++) {
    const [best] = judgeHosts(now, wish);
    if (!best?.ok) break;
    placements[best.host] = (placements[best.host] ?? 0) + 1;
    now = now.map((host) => (host.id === best.host_id ? withOneMore(host, request) : host));
    if (wish.group) {
      const there = (wish.group.members[best.host_id] ?? 0) + 1;
      wish = {
        ...wish,
        group: { ...wish.group, members: { ...wish.group.members, [best.host_id]: there } },
      };
    }
  }
  return placements;
}

function roomOn(host: Candidate, { resources, group }: PlacementRequest): number {
  const rooms = Object.entries(resources)
    .filter(([, amount]) => amount > 0)
    .map(([name, amount]) => {
      const capacity = host.capacities.get(name);
      return capacity ? Math.floor(Math.max(capacityOf(capacity) - capacity.used, 0) / amount) : 0;
    });
  const most = Math.min(...rooms);
  if (group?.policy !== 'anti-affinity') return most;
  return Math.min(most, group.max_per_host - (group.members[host.id] ?? 0));
}

function withOneMore(host: Candidate, { resources }: PlacementRequest): Candidate {
  const capacities = new Map(
    [...host.capacities].map(([name, capacity]) => [
      name,
      { ...capacity, used: capacity.used + (resources[name] ?? 0) },
    ]),
  );
  return { ...host, capacities };
}
