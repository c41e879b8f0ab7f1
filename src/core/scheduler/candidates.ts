import type { Heartbeat, HostFacts } from '../../protocol/messages.js';
import type { ComputeHost } from '../../store/compute/hosts.js';
import { allocationsOf, readCapacities } from '../../store/compute/placement.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import type { Candidate, CandidateCapacity } from './candidate.js';

/** The hosts as the scheduler sees them now; what the consumer `except` holds counts as free. */
export async function candidatesAmong(
  db: Reader,
  app: App,
  hosts: readonly ComputeHost[],
  except: string | null = null,
): Promise<Candidate[]> {
  const capacities = await readCapacities(
    db,
    hosts.map(({ id }) => id),
  );
  const own = except === null ? [] : await allocationsOf(db, { consumer_id: except });
  const without = (hostId: string): ReadonlyMap<string, CandidateCapacity> => {
    const all = capacities.get(hostId) ?? new Map<string, CandidateCapacity>();
    const mine = own.filter(({ host_id }) => host_id === hostId);
    if (mine.length === 0) return all;
    return new Map(
      [...all].map(([name, capacity]) => {
        const used = mine.find(({ resource_class }) => resource_class === name)?.used ?? 0;
        return [name, { ...capacity, used: capacity.used - used }];
      }),
    );
  };
  return hosts.map((host) => candidate(app, host, without(host.id)));
}

function candidate(app: App, host: ComputeHost, capacities: Candidate['capacities']): Candidate {
  const facts = factsOf(host);
  return {
    id: host.id,
    name: host.name,
    down: whyDown(app, host),
    enabled: host.enabled === 1,
    disabled_reason: host.disabled_reason,
    observe_only: host.observe_only === 1,
    undelivered: undelivered(app, host.id),
    zones: host.zones,
    aggregates: host.aggregates,
    physical_networks: host.physical_networks,
    virt_type: facts?.virt_type ?? null,
    architecture: facts?.architecture || null,
    disk: diskOf(host, facts),
    capacities,
  };
}

function whyDown(app: App, host: ComputeHost): string | null {
  if (host.forced_down) return 'an administrator said that it is down';
  if (app.hosts.isUp(host.id)) return null;
  const silence = app.hosts.silence(host.id);
  if (silence === null) return 'it is down: not heard of since the controller started';
  return `it is down: no heartbeat for ${Math.round(silence / 1000)} s`;
}

/** A moment without success is no news: agents restart. */
function undelivered(app: App, hostId: string): string | null {
  const failing = app.hosts.deliveryFailing(hostId);
  if (failing === null || failing < app.config.host_down_after * 1000) return null;
  return app.hosts.deliveryFault(hostId);
}

/** Facts change seldom and are read at every placement. */
const parsed = new Map<string, { readonly text: string; readonly facts: HostFacts }>();

function factsOf(host: ComputeHost): HostFacts | null {
  if (host.facts === null) return null;
  const known = parsed.get(host.id);
  if (known?.text === host.facts) return known.facts;
  const facts = JSON.parse(host.facts) as HostFacts;
  parsed.set(host.id, { text: host.facts, facts });
  return facts;
}

function diskOf(host: ComputeHost, facts: HostFacts | null): Candidate['disk'] {
  if (host.usage === null || facts === null) return null;
  const { disk_used_gb } = JSON.parse(host.usage) as Heartbeat['usage'];
  return { total_gb: Math.floor(facts.disk_gb), used_gb: disk_used_gb };
}
