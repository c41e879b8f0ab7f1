import { capacityOf } from '../allocation/claim.js';
import type { Candidate, PlacementRequest } from './candidate.js';

/** A number per host, larger is better; each is scaled to 0…1 over the hosts compared, then multiplied. */
interface Weigher {
  readonly multiplier: number;
  /** Absent: always. */
  readonly counts?: (request: PlacementRequest) => boolean;
  weigh(host: Candidate, request: PlacementRequest): number;
}

/** Servers are spread: what has most free comes first; wishes of soft server groups weigh more than that. */
export const WEIGHERS: Readonly<Record<string, Weigher>> = {
  memory: { multiplier: 1, weigh: (host) => free(host, 'MEMORY_MB') },
  vcpus: { multiplier: 1, weigh: (host) => free(host, 'VCPU') },
  disk: { multiplier: 0.5, weigh: (host) => free(host, 'DISK_GB') },
  'server group': {
    multiplier: 5,
    counts: ({ group }) => group?.policy.startsWith('soft-') ?? false,
    weigh: (host, { group }) => {
      const there = group?.members[host.id] ?? 0;
      return group?.policy === 'soft-affinity' ? there : -there;
    },
  },
};

export interface Weight {
  /** 0…1 */
  readonly total: number;
  /** By weigher, 0…1. */
  readonly parts: Readonly<Record<string, number>>;
}

/** Weights of the hosts, by id. */
export function weighHosts(
  hosts: readonly Candidate[],
  request: PlacementRequest,
): ReadonlyMap<string, Weight> {
  const used = Object.entries(WEIGHERS).filter(([, { counts }]) => counts?.(request) ?? true);
  const sum = used.reduce((total, [, { multiplier }]) => total + multiplier, 0);
  const weights = new Map(hosts.map((host) => [host.id, { total: 0, parts: {} as Record<string, number> }]));
  for (const [name, { multiplier, weigh }] of used) {
    const values = hosts.map((host) => weigh(host, request));
    const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const range = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY) - least;
    hosts.forEach((host, i) => {
      const scaled = range === 0 ? 1 : (values[i]! - least) / range;
      const weight = weights.get(host.id)!;
      weight.total += (scaled * multiplier) / sum;
      weight.parts[name] = scaled;
    });
  }
  return weights;
}

function free(host: Candidate, resourceClass: string): number {
  const capacity = host.capacities.get(resourceClass);
  return capacity ? capacityOf(capacity) - capacity.used : 0;
}
