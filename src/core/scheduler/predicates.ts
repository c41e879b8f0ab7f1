import { capacityOf } from '../allocation/claim.js';
import { type Candidate, DEFAULT_ZONE, type PlacementRequest } from './candidate.js';

/** `{ok: true}`, or why the host will not do. */
export type Answer = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export type Predicate = (host: Candidate, request: PlacementRequest) => Answer;

const YES: Answer = { ok: true };

/** Conditions that a host has to meet, by name; all are asked, so that every reason is known. */
export const PREDICATES: Readonly<Record<string, Predicate>> = {
  up: (host) => unless(host.up, 'it is down: no heartbeat'),
  enabled: (host) =>
    unless(host.enabled, `it is disabled${host.disabled_reason ? ` (${host.disabled_reason})` : ''}`),
  requested: (host, { host: name }) =>
    unless(name === null || name === host.name, `the request names host ${name}`),
  avoided: (host, { avoid }) => unless(avoid[host.id] === undefined, avoid[host.id] ?? ''),
  only: (host, { only }) => unless(only === null || only.hosts.includes(host.id), only?.reason ?? ''),
  'availability zone': (host, { availability_zone: zone }) => {
    const zones = host.zones.size ? [...host.zones] : [DEFAULT_ZONE];
    return unless(
      zone === null || zones.includes(zone),
      `it is in availability zone ${zones.join(', ')}, not ${zone}`,
    );
  },
  'physical networks': (host, { physical_networks }) => {
    const missing = physical_networks.filter((name) => !host.physical_networks.has(name));
    return unless(missing.length === 0, `it is not attached to physical network ${missing.join(', ')}`);
  },
  vcpus: (host, request) => room(host, request, 'VCPU', 'vCPUs'),
  memory: (host, request) => room(host, request, 'MEMORY_MB', 'MB of memory'),
  disk: (host, request) => room(host, request, 'DISK_GB', 'GB of disk'),
};

/** Every reason why a host will not do; none when it will. */
export function reasonsAgainst(host: Candidate, request: PlacementRequest): string[] {
  return Object.values(PREDICATES).flatMap((predicate) => {
    const answer = predicate(host, request);
    return answer.ok ? [] : [answer.reason];
  });
}

function room(host: Candidate, request: PlacementRequest, resourceClass: string, unit: string): Answer {
  const wanted = request.resources[resourceClass] ?? 0;
  if (wanted === 0) return YES;
  const capacity = host.capacities.get(resourceClass);
  if (!capacity) return unless(false, `it has not reported any ${unit} yet`);
  if (wanted > capacity.max_unit) {
    return unless(false, `it has ${capacity.max_unit} ${unit}, ${wanted} are needed`);
  }
  const free = capacityOf(capacity) - capacity.used;
  return unless(wanted <= free, `${Math.max(free, 0)} ${unit} are free, ${wanted} are needed`);
}

function unless(ok: boolean, reason: string): Answer {
  return ok ? YES : { ok: false, reason };
}
