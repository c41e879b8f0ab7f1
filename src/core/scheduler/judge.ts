import type { Candidate, PlacementRequest, Verdict } from './candidate.js';
import { reasonsAgainst } from './predicates.js';
import { weighHosts } from './weighers.js';

/** Judges every host: those that will do first, best first; then the others with all reasons against them. */
export function judgeHosts(hosts: readonly Candidate[], request: PlacementRequest): Verdict[] {
  const reasons = new Map(hosts.map((host) => [host.id, reasonsAgainst(host, request)]));
  const able = hosts.filter((host) => reasons.get(host.id)!.length === 0);
  const weights = weighHosts(able, request);
  return hosts
    .map((host) => ({
      host: host.name,
      host_id: host.id,
      ok: weights.has(host.id),
      reasons: reasons.get(host.id)!,
      weight: weights.get(host.id)?.total ?? 0,
      weights: weights.get(host.id)?.parts ?? {},
    }))
    .sort((a, b) => Number(b.ok) - Number(a.ok) || b.weight - a.weight || (a.host < b.host ? -1 : 1));
}
