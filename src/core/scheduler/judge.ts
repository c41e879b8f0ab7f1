import type { Candidate, PlacementRequest, Verdict } from './candidate.js';
import { reasonsAgainst } from './predicates.js';
import { weighHosts } from './weighers.js';

/** Judges every host: those that will do first, best first; then the others with all reasons against them. */
export function judgeHosts(hosts: readonly Candidate[], request: PlacementRequest): Verdict[] {
  const reasons = new Map(hosts.map((host) => [host.id, reasonsAgainst(host, request)]));
  const weights = weighHosts(hosts.filter((host) => reasons.get(host.id)!.length === 0));
  return hosts
    .map((host) => ({
      host: host.name,
      host_id: host.id,
      ok: weights.has(host.id),
      reasons: reasons.get(host.id)!,
      weight: weights.get(host.id) ?? 0,
    }))
    .sort((a, b) => Number(b.ok) - Number(a.ok) || b.weight - a.weight || (a.host < b.host ? -1 : 1));
}
