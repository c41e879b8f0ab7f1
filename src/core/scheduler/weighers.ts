import { capacityOf } from '../allocation/claim.js';
import type { Candidate } from './candidate.js';

/** A number per host, larger is better; each is scaled to 0…1 over the hosts compared, then multiplied. */
interface Weigher {
  readonly multiplier: number;
  weigh(host: Candidate): number;
}

/** Servers are spread: what has most free comes first. */
export const WEIGHERS: Readonly<Record<string, Weigher>> = {
  memory: { multiplier: 1, weigh: (host) => free(host, 'MEMORY_MB') },
  vcpus: { multiplier: 1, weigh: (host) => free(host, 'VCPU') },
  disk: { multiplier: 0.5, weigh: (host) => free(host, 'DISK_GB') },
};

/** Weight of each host by id, 0…1. */
export function weighHosts(hosts: readonly Candidate[]): Map<string, number> {
  const weights = new Map(hosts.map((host) => [host.id, 0]));
  const sum = Object.values(WEIGHERS).reduce((total, { multiplier }) => total + multiplier, 0);
  for (const { multiplier, weigh } of Object.values(WEIGHERS)) {
    const values = hosts.map(weigh);
    const least = Math.min(...values);
    const range = Math.max(...values) - least;
    hosts.forEach((host, i) => {
      const scaled = range === 0 ? 1 : (values[i]! - least) / range;
      weights.set(host.id, weights.get(host.id)! + (scaled * multiplier) / sum);
    });
  }
  return weights;
}

function free(host: Candidate, resourceClass: string): number {
  const capacity = host.capacities.get(resourceClass);
  return capacity ? capacityOf(capacity) - capacity.used : 0;
}
