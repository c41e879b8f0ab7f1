import type { NetworkObject, ObjectKey, ObjectKind, Spec } from './objects.js';

/** Raised on incompatible changes; both sides accept the version before as well. */
export const PROTOCOL_VERSION = 1;

/** What an agent does about an object that was changed by other hands: put it right, or only say so. */
export type DriftPolicy = 'heal' | 'report';

/** How a host is to treat its spec; kept on its disk together with it. */
export interface HostSettings {
  /** Change nothing on the host, only compare and report: after a restored backup, until an operator accepts it. */
  readonly observe_only: boolean;
  /** Per kind of object; what is not named is healed. */
  readonly drift: Readonly<Partial<Record<ObjectKind, DriftPolicy>>>;
}

export const DEFAULT_SETTINGS: HostSettings = { observe_only: false, drift: {} };

/**
 * POST /v1/spec, controller → agent. `base` is the digest of the spec the change was computed against: an agent that
 * holds another one answers 409 and gets a full spec (base null).
 */
export interface SpecPush {
  readonly protocol: number;
  /** Changes when the controller's database was restored from a backup: agents then only observe. */
  readonly incarnation: string;
  /** Rises with every push to this host; an agent ignores what is older than what it holds. */
  readonly sequence: number;
  /**
   * Number of the last change that the controller's database had recorded when this spec was worked out. One that is lower than
   * what the agent holds is refused: the database may be an older one.
   */
  readonly as_of?: number;
  readonly base: string | null;
  readonly changed: Spec;
  readonly removed: readonly ObjectKey[];
  /** Replace those that the agent has; absent (from a controller of the release before): the defaults. */
  readonly settings?: HostSettings;
  /** Request ids that led to this push, for the log. */
  readonly request_ids: readonly string[];
  /** An operator agreed that this push destroys many guests. */
  readonly confirmed?: true;
}

/** Reply 409 or 422 to a push that was not taken. */
export interface SpecRefusal {
  /**
   * base: the agent holds another spec, send a full one; stale: it holds a newer one; older: it holds one from a later state of
   * the database; removal: the push would destroy more guests than `max_removal_share` allows and does not carry `confirmed`;
   * removed: the host was removed from the cloud and waits to join anew.
   */
  readonly reason: 'base' | 'stale' | 'older' | 'removal' | 'removed';
  readonly message: string;
  readonly sequence: number;
  readonly digest: string;
  /** `as_of` and incarnation of what it holds. */
  readonly as_of?: number;
  readonly incarnation?: string | null;
}

/** Reply to a push: the digest of what the agent now holds on disk. */
export interface SpecAck {
  readonly sequence: number;
  readonly digest: string;
}

/** What went wrong with one object, in the words an operator needs. */
export interface ObjectError {
  readonly message: string;
  /** Set where the controller acts on the kind of error: `address-in-use`, somebody else answers for an address of a router. */
  readonly code?: 'address-in-use';
  readonly command?: string;
  readonly exit_code?: number | null;
  readonly stderr?: string;
  readonly hint?: string;
}

/** What the agent sees of a server. */
export interface ObservedServer {
  /** libvirt's domain state in Nova's words. */
  readonly power_state: 'running' | 'paused' | 'shutdown' | 'crashed' | 'suspended' | 'nostate';
  readonly launched_at: string | null;
}

/** State of one object on the host. */
export interface ObjectReport {
  readonly key: ObjectKey;
  /** Revision that was applied or that failed; of what is gone: its tombstone's, null for what left the spec without one. */
  readonly revision: string | null;
  /** held: it is not as it should be and is left so, because the host only observes; `error` says what differs. */
  readonly state: 'applied' | 'error' | 'gone' | 'held';
  readonly error?: ObjectError;
  readonly observed?: ObservedServer;
}

/** Hardware and software of a host; sent at start and when it changes. */
export interface HostFacts {
  readonly hostname: string;
  readonly agent_version: string;
  readonly kernel: string;
  readonly cpu_model: string;
  /** As `uname -m` has it; agents of before do not tell. */
  readonly architecture?: string;
  readonly vcpus: number;
  readonly memory_mb: number;
  /** Size and free bytes of the file system that holds disks. */
  readonly disk_gb: number;
  readonly libvirt_version: string;
  readonly qemu_version: string;
  readonly virt_type: 'kvm' | 'qemu' | 'fake';
  /** Why virt_type is what it is, e.g. `KVM probe guest did not run within 3 s`. */
  readonly virt_type_reason: string;
  /** Aliases whose bridge is there. */
  readonly physical_networks: readonly string[];
  /** Every alias of the host's configuration, and what is seen on its bridge; agents of before do not tell. */
  readonly provider_networks?: readonly ProviderNetworkFacts[];
  readonly underlay_ip: string;
  /** Set for `maru agent --simulate`: nothing on it is real. */
  readonly simulated: boolean;
  readonly warnings: readonly string[];
}

/** A physical network as one host has it: an alias, such as `extnet`, and its bridge. */
export interface ProviderNetworkFacts {
  readonly name: string;
  readonly bridge: string;
  /** The bridge exists. */
  readonly present: boolean;
  /**
   * Nothing certain can be said yet: the agent has just started and not seen the bridge, or waits for the confirmation of a
   * takeover. What the host offered before stands.
   */
  readonly unknown?: true;
  /** The host's own addresses on the bridge, without prefix. */
  readonly addresses: readonly string[];
  /** Next hops of the host's default routes over it. */
  readonly gateways: readonly string[];
  /** Addresses of other machines that the host has met there, those of clouds' ports left out; at most 256. */
  readonly neighbours: readonly string[];
}

/** An object that was found other than it had been brought about, though nobody asked for a change. */
export interface DriftEvent {
  readonly object: ObjectKey;
  /** What apply does, or would do, about it; as in a plan. */
  readonly action: string;
  readonly detail: string;
  /** ISO 8601. */
  readonly first_seen: string;
  readonly state: 'reported' | 'healed';
  readonly healed_at: string | null;
}

/** POST /agent/v1/heartbeat, agent → controller. */
export interface Heartbeat {
  readonly protocol: number;
  readonly order?: MessageOrder;
  readonly boot_id: string;
  readonly agent_url: string;
  readonly incarnation: string | null;
  readonly sequence: number;
  /** `as_of` of the spec that it holds. */
  readonly as_of?: number;
  readonly digest: string;
  /** Fingerprints of the authorities whose certificates it accepts. */
  readonly authorities?: readonly string[];
  /** Sent with the first heartbeat of an agent process and when they change. */
  readonly facts?: HostFacts;
  /** Reports since the last acknowledged heartbeat; the first heartbeat of a process carries all objects. */
  readonly reports: readonly ObjectReport[];
  /** Things on the host that no object names; kept and listed, never removed by themselves. */
  readonly orphans: readonly {
    readonly kind: string;
    readonly name: string;
    readonly detail: string;
    /** Key of the object that it once belonged to. */
    readonly object?: ObjectKey;
  }[];
  /** Drift that stands, and what was healed since the last acknowledged heartbeat. */
  readonly drift?: readonly DriftEvent[];
  /** The host was booted, and its guests wait for the controller's word on the spec that it holds. */
  readonly awaiting_confirmation?: true;
  readonly usage: {
    readonly memory_used_mb: number;
    readonly disk_used_gb: number;
    readonly running_guests: number;
  };
}

export interface HeartbeatReply {
  /** True: the controller does not know this state; send everything again. */
  readonly resync: boolean;
  /** True: ask for a new certificate now, since another authority issues them or is trusted. */
  readonly renew?: true;
  /** The spec that the host says it holds is what it should have now; told only to hosts that await it. */
  readonly confirmed?: true;
}

/** Body of a refusal with status 410: the host was removed from the cloud, and its guests may exist elsewhere. */
export interface RemovedReply {
  readonly message: string;
  readonly removed: true;
}

/** Which of an agent's messages came first: a message that was overtaken says nothing new. */
export interface MessageOrder {
  /** The agent's process. */
  readonly run: string;
  /** Rises with every message of that process. */
  readonly number: number;
}

/** POST /agent/v1/reports, agent → controller: what changed since the last acknowledged report. */
export interface ReportPush {
  readonly protocol: number;
  readonly order?: MessageOrder;
  readonly reports: readonly ObjectReport[];
}

/** POST /agent/v1/join, without a client certificate. Repeating it with the same key and token is safe. */
export interface JoinRequest {
  readonly protocol: number;
  readonly secret: string;
  readonly name: string;
  /** PKCS #10 request in PEM. */
  readonly csr: string;
  /** Addresses that the certificate shall name besides the host's name. */
  readonly addresses: readonly string[];
  readonly agent_url: string;
  readonly underlay_ip: string;
}

/** POST /agent/v1/certificate: renewal, under the certificate in use. */
export interface CertificateRequest {
  readonly csr: string;
  readonly addresses: readonly string[];
}

export interface CertificateReply {
  readonly host_id: string;
  readonly certificate: string;
  /** Certificates of the authority, PEM, one after another. */
  readonly ca: string;
}

/** A segment and addresses on it that somebody may answer for. */
export interface ProbeTarget {
  readonly network: Pick<NetworkObject, 'id' | 'type' | 'physical_network' | 'segmentation_id'>;
  readonly addresses: readonly string[];
}

/** POST /v1/probe, controller → agent: who answers ARP or neighbour solicitations for addresses on segments of this host? */
export interface ProbeRequest {
  readonly targets: readonly ProbeTarget[];
}

export interface ProbeReply {
  /** Networks whose bridge is not on this host: nothing can be said of them. */
  readonly unknown_networks: readonly string[];
  readonly answers: readonly {
    readonly network_id: string;
    readonly address: string;
    readonly mac: string;
  }[];
}

/** GET /v1/console/:server_id?length=N, controller → agent. */
export interface ConsoleReply {
  readonly output: string;
}

/** One line of `maru plan HOST`: a command or change that apply would carry out now. */
export interface PlanStep {
  readonly object: ObjectKey;
  readonly action: string;
  readonly detail: string;
}

/** GET /v1/plan, controller → agent: empty on a healthy host. */
export interface Plan {
  readonly host: string;
  readonly steps: readonly PlanStep[];
}

/** POST /v1/orphans/remove, controller → agent: one thing on the host that no object names, and that an operator named. */
export interface OrphanRemoval {
  readonly kind: string;
  readonly name: string;
  /** Needed for what holds data: domains, disks, volumes. */
  readonly destroy_data: boolean;
}

/** POST /v1/drift/heal, controller → agent: put right what was only reported, whatever the policy says. */
export interface DriftHeal {
  readonly object: ObjectKey;
}

export interface DriftHealReply {
  /** unknown: nothing is known to be wrong with the object; reported: it could not be put right. */
  readonly outcome: 'healed' | 'reported' | 'unknown';
  /** What still differs. */
  readonly detail: string | null;
}
