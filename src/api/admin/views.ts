import type { AuthorityStatus, HostCertificate } from '../../core/gateway.js';
import type { KnownOrphan } from '../../core/host/orphans.js';
import { mappingWarnings } from '../../core/network/provider-problems.js';
import type { HostFacts, ObjectError } from '../../protocol/messages.js';
import type { HostRow } from '../../store/hosts.js';
import type { StoredReport } from '../../store/reports.js';

/** A host in a list. */
export interface HostSummary {
  readonly id: string;
  readonly name: string;
  readonly state: 'up' | 'down';
  readonly enabled: boolean;
  /** True: it only compares and reports, until an operator accepts it. */
  readonly observe_only: boolean;
  readonly simulated: boolean;
  readonly virt_type: string;
  readonly vcpus: number;
  readonly vcpus_used: number;
  readonly memory_mb: number;
  readonly memory_mb_used: number;
  readonly guests: number;
  /** Objects that the host could not bring about. */
  readonly faults: number;
  readonly warnings: readonly string[];
  readonly last_seen_at: string | null;
}

/** Everything about one host. */
export interface HostDetail extends HostSummary {
  readonly disabled_reason: string | null;
  readonly virt_type_reason: string;
  readonly cpu_model: string;
  readonly disk_gb: number;
  readonly kernel: string;
  readonly libvirt_version: string;
  readonly qemu_version: string;
  readonly agent_version: string;
  readonly agent_url: string;
  readonly underlay_ip: string;
  readonly physical_networks: readonly string[];
  readonly certificate: CertificateView;
  /** Why its specification could not be brought to it at the last attempt. */
  readonly delivery_fault: string | null;
  readonly fault_list: readonly (ObjectError & { readonly object: string })[];
  readonly orphans: readonly KnownOrphan[];
}

/** The certificate of a host's agent. */
export interface CertificateView {
  readonly expires_at: string | null;
  /** Fingerprint of the authority that issued it. */
  readonly authority: string | null;
  readonly state: 'valid' | 'expired' | 'waits for the new authority' | 'unknown';
}

/** What the hosts' liveness says of one. */
export interface HostPresence {
  readonly up: boolean;
  /** Milliseconds since the last contact; null when there was none since the controller started. */
  readonly silence: number | null;
}

export interface HostLoad {
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly guests: number;
  readonly faults: number;
}

export function hostSummary(host: HostRow, load: HostLoad | undefined, presence: HostPresence): HostSummary {
  const facts = factsOf(host);
  return {
    id: host.id,
    name: host.name,
    state: presence.up ? 'up' : 'down',
    enabled: host.enabled === 1,
    observe_only: host.observe_only === 1,
    simulated: host.simulated === 1,
    virt_type: facts?.virt_type ?? 'unknown',
    vcpus: facts?.vcpus ?? 0,
    vcpus_used: load?.vcpus ?? 0,
    memory_mb: facts?.memory_mb ?? 0,
    memory_mb_used: load?.memory_mb ?? 0,
    guests: load?.guests ?? 0,
    faults: load?.faults ?? 0,
    warnings: [...(facts?.warnings ?? []), ...mappingWarnings(facts)],
    last_seen_at: lastSeen(host, presence),
  };
}

export function hostDetail(
  host: HostRow,
  load: HostLoad | undefined,
  presence: HostPresence,
  faults: readonly StoredReport[],
  orphans: readonly KnownOrphan[],
): Omit<HostDetail, 'certificate' | 'delivery_fault'> {
  const facts = factsOf(host);
  return {
    ...hostSummary(host, load, presence),
    disabled_reason: host.disabled_reason,
    virt_type_reason: facts?.virt_type_reason ?? 'the agent has not reported yet',
    cpu_model: facts?.cpu_model ?? 'unknown',
    disk_gb: facts?.disk_gb ?? 0,
    kernel: facts?.kernel ?? 'unknown',
    libvirt_version: facts?.libvirt_version ?? 'unknown',
    qemu_version: facts?.qemu_version ?? 'unknown',
    agent_version: facts?.agent_version ?? 'unknown',
    agent_url: host.agent_url,
    underlay_ip: host.underlay_ip,
    physical_networks: facts?.physical_networks ?? [],
    fault_list: faults.map((f) => ({ object: f.key, ...(f.error ?? { message: 'unknown error' }) })),
    orphans,
  };
}

/** How a host's certificate stands, while the authority may be being replaced. */
export function certificateView(
  certificate: HostCertificate | undefined,
  phase: AuthorityStatus['phase'],
  now = Date.now(),
): CertificateView {
  const { expires_at = null, authority = null, renewed = false } = certificate ?? {};
  const state = () => {
    if (expires_at === null) return 'unknown';
    if (Date.parse(expires_at) < now) return 'expired';
    return phase !== 'none' && !renewed ? 'waits for the new authority' : 'valid';
  };
  return { expires_at, authority, state: state() };
}

/** The row's time is written once a minute; what this process knows is newer. */
function lastSeen(host: HostRow, { silence }: HostPresence): string | null {
  return silence === null ? host.last_seen_at : new Date(Date.now() - silence).toISOString();
}

function factsOf(host: HostRow): HostFacts | null {
  return host.facts ? (JSON.parse(host.facts) as HostFacts) : null;
}
