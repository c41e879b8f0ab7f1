import { capacityOf } from '../allocation/claim.js';
import { aggregateReason, tenantReason } from './aggregates.js';
import { type Candidate, DEFAULT_ZONE, type PlacementRequest, type Reason } from './candidate.js';
import { hardwareReason } from './hardware.js';

/** Null, or why the host will not do. */
export type Predicate = (host: Candidate, request: PlacementRequest) => string | null;

const GIB = 1024 ** 3;
/** With less than this free a host's disk counts as full: growing overlays of the guests that it has need the rest. */
const FULL_GB = 1;

/** Conditions that a host has to meet, by name; all are asked, so that every reason is known. */
export const PREDICATES: Readonly<Record<string, Predicate>> = {
  up: (host) => host.down,
  enabled: (host) =>
    host.enabled ? null : `it is disabled${host.disabled_reason ? ` (${host.disabled_reason})` : ''}`,
  accepted: (host) =>
    host.observe_only ? 'its agent only observes until an operator accepts the host again' : null,
  delivery: (host) =>
    host.undelivered === null ? null : `its spec cannot be delivered: ${host.undelivered}`,
  'requested host': (host, { host: name }) =>
    name === null || name === host.name ? null : `the request names host ${name}`,
  avoided: (host, { avoid }) => avoid[host.id] ?? null,
  only: (host, { only }) => (only === null || only.hosts.includes(host.id) ? null : only.reason),
  'availability zone': (host, { availability_zone: zone }) => {
    const zones = host.zones.size ? [...host.zones] : [DEFAULT_ZONE];
    if (zone === null || zones.includes(zone)) return null;
    return `it is in availability zone ${zones.join(', ')}, not ${zone}`;
  },
  'aggregate extra specs': aggregateReason,
  'aggregate projects': tenantReason,
  'server group': (host, { group }) => {
    const there = group?.members[host.id] ?? 0;
    if (group?.policy === 'anti-affinity' && there >= group.max_per_host) {
      return `it runs ${there} other member(s) of the server group, ${group.max_per_host} at most may share a host`;
    }
    const elsewhere = Object.keys(group?.members ?? {}).length > 0;
    if (group?.policy === 'affinity' && elsewhere && there === 0) {
      return 'the other members of the server group are elsewhere';
    }
    return null;
  },
  'physical networks': (host, { physical_networks }) => {
    const missing = physical_networks.filter((name) => !host.physical_networks.has(name));
    return missing.length === 0 ? null : `it is not attached to physical network ${missing.join(', ')}`;
  },
  hardware: hardwareReason,
  vcpus: (host, request) => room(host, request, 'VCPU', 'vCPUs'),
  memory: (host, request) => room(host, request, 'MEMORY_MB', 'MB of memory'),
  disk: (host, request) => room(host, request, 'DISK_GB', 'GB of disk'),
  'free disk': (host, request) => diskReason(host, request),
};

/** Every reason why a host will not do; none when it will. */
export function reasonsAgainst(host: Candidate, request: PlacementRequest): Reason[] {
  return Object.entries(PREDICATES).flatMap(([predicate, ask]) => {
    const reason = ask(host, request);
    return reason === null ? [] : [{ predicate, reason }];
  });
}

function room(
  host: Candidate,
  request: PlacementRequest,
  resourceClass: string,
  unit: string,
): string | null {
  const wanted = request.resources[resourceClass] ?? 0;
  if (wanted === 0) return null;
  const capacity = host.capacities.get(resourceClass);
  if (!capacity) return `it has not reported any ${unit} yet`;
  if (wanted > capacity.max_unit) return `needs ${wanted} ${unit}, it has ${capacity.max_unit} altogether`;
  const most = capacityOf(capacity);
  const free = Math.max(most - capacity.used, 0);
  if (wanted <= free) return null;
  const { allocation_ratio: ratio, reserved } = capacity;
  const kept = reserved > 0 ? `, ${reserved} reserved` : '';
  return `needs ${wanted} ${unit}, ${free} of ${most} free (ratio ${ratio.toFixed(1)}${kept})`;
}

/** What the disk really has left, whatever was promised of it. */
function diskReason({ disk }: Candidate, { image, resources }: PlacementRequest): string | null {
  if (!disk || !(resources.DISK_GB || image)) return null;
  const free = Math.max(Math.round((disk.total_gb - disk.used_gb) * 10) / 10, 0);
  if (free < FULL_GB && disk.total_gb > FULL_GB)
    return `its disk is full: ${free} of ${disk.total_gb} GB free`;
  const size = (image?.size ?? 0) / GIB;
  return size <= free ? null : `the image has ${size.toFixed(1)} GB, its disk ${free} GB free`;
}
