import type { DoctorReport } from '../protocol/doctor.js';
import type { LogQuery, LogReply } from '../protocol/log-query.js';
import type {
  DriftHeal,
  DriftHealReply,
  OrphanRemoval,
  Plan,
  ProbeReply,
  ProbeRequest,
} from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import type { TraceReply, TraceRequest } from '../protocol/trace.js';

export interface JoinTokenRequest {
  /** Only a host of this name may use the token; needed to let a known host join again. null: any new host. */
  readonly hostName: string | null;
  readonly ttlSeconds: number;
  /** URL of the agent listener to put into the token; without it the agent's configuration has to say. */
  readonly url?: string;
}

/**
 * What core and the admin API ask of and about hosts directly. Implemented by src/hosts; questions to a host reject with MaruError `unavailable`
 * when it does not answer.
 */
export interface HostGateway {
  /** The last `length` lines of a server's serial console (all when null). */
  consoleOutput(hostId: string, serverId: string, length: number | null): Promise<string>;
  /** Who answers for addresses on segments of the host; see ProbeRequest. */
  probe(hostId: string, request: ProbeRequest): Promise<ProbeReply>;
  /** What is on the host of what should be; nothing is changed. */
  trace(hostId: string, request: TraceRequest): Promise<TraceReply>;
  /** What apply would do on the host now. */
  plan(hostId: string): Promise<Plan>;
  /** What is wrong with the machine itself. */
  doctor(hostId: string): Promise<DoctorReport>;
  /** Has the host put right what was only reported as changed by other hands. */
  healDrift(hostId: string, request: DriftHeal): Promise<DriftHealReply>;
  /** Lines of its agent's log; rejects when it does not answer within some seconds. */
  logs(hostId: string, query: LogQuery): Promise<LogReply>;
  /** True when the host was heard of within `host_down_after`. */
  isUp(hostId: string): boolean;
  /** True when the host was silent for `host_down_after`; not the opposite of isUp right after a start. */
  isDown(hostId: string): boolean;
  /** Milliseconds since the host was last heard of; null when it was not in this process's life. */
  silence(hostId: string): number | null;
  /** Why the host's spec could not be delivered at the last attempt; null when it was. */
  deliveryFault(hostId: string): string | null;
  /** Milliseconds for which every attempt has failed; null when the last one did not. */
  deliveryFailing(hostId: string): number | null;
  /** Lets the next push destroy more guests than the agent's max_removal_share allows. */
  confirmRemoval(hostId: string): Promise<void>;
  /** A one-time token with which a host joins. */
  createJoinToken(
    request: JoinTokenRequest,
  ): Promise<{ readonly token: string; readonly expires_at: string }>;
  /** Lets go of what is held in memory of a host that was removed. */
  forgetHost(hostId: string): Promise<void>;
  /** Whether what the host should have names an object, worked out now. */
  isNamed(hostId: string, key: ObjectKey): Promise<boolean>;
  /** Has the host remove one thing that no object names; rejects with MaruError when it refuses. */
  removeOrphan(hostId: string, removal: OrphanRemoval): Promise<void>;
  /** The certificate authorities. */
  readonly authority: AuthorityGateway;
}

/** Replacing the certificate authority. */
export interface AuthorityGateway {
  status(): Promise<AuthorityStatus>;
  rotate(): Promise<AuthorityStatus>;
  abort(): Promise<AuthorityStatus>;
  /** 409 while hosts still need the authority that goes, unless `force`. */
  finish(force: boolean): Promise<AuthorityStatus & { readonly tokens_ended: number }>;
}

/** The certificate authorities, and how far each host is in a replacement. */
export interface AuthorityStatus {
  readonly phase: 'none' | 'rotating' | 'aborting';
  /** When it was begun or turned back. */
  readonly since: string | null;
  readonly authorities: readonly {
    readonly fingerprint: string;
    readonly created_at: string;
    readonly expires_at: string;
    readonly signs_hosts: boolean;
    readonly signs_controller: boolean;
  }[];
  readonly hosts: readonly HostCertificate[];
  /** Names of hosts that would be cut off by ending the replacement now. */
  readonly waiting_for: readonly string[];
}

/** The certificate that a host shows. */
export interface HostCertificate {
  readonly name: string;
  readonly up: boolean;
  readonly expires_at: string | null;
  /** Fingerprint of the authority that issued it. */
  readonly authority: string | null;
  /** It comes from the authority that signs now. */
  readonly renewed: boolean;
  /** Its agent still accepts certificates of an authority that is no longer trusted here. */
  readonly trusts_retired: boolean;
}
