import type { HostFacts } from '../../protocol/messages.js';
import { type ComputeHost, computeHosts } from '../../store/compute/hosts.js';
import { type Capacity, readCapacities } from '../../store/compute/placement.js';
import { serversByHost } from '../../store/compute/server.js';
import type { App } from '../app.js';
import { DEFAULT_ZONE } from '../scheduler/candidate.js';

/** A host with what it has, what is taken of it and who is on it. */
export interface HostSummary {
  readonly host: ComputeHost;
  readonly facts: HostFacts | null;
  readonly up: boolean;
  readonly zone: string;
  readonly servers: readonly { readonly id: string; readonly name: string }[];
  total(resourceClass: string): number;
  used(resourceClass: string): number;
}

/** Every host, by name: a constant number of queries. */
export async function summariseHosts(app: App): Promise<HostSummary[]> {
  const db = app.store.read;
  const capacities = await readCapacities(db);
  const servers = await serversByHost(db);
  const none = new Map<string, Capacity>();
  return (await computeHosts(db)).map((host) => {
    const classes = capacities.get(host.id) ?? none;
    return {
      host,
      facts: host.facts === null ? null : (JSON.parse(host.facts) as HostFacts),
      up: app.hosts.isUp(host.id) && !host.forced_down,
      zone: [...host.zones][0] ?? DEFAULT_ZONE,
      servers: servers.get(host.id) ?? [],
      total: (resourceClass) => classes.get(resourceClass)?.total ?? 0,
      used: (resourceClass) => classes.get(resourceClass)?.used ?? 0,
    };
  });
}
