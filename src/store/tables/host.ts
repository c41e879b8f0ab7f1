import type { Generated } from 'kysely';

/** A machine that runs guests, from the moment it joined. */
export interface HostTable {
  id: string;
  name: string;
  /** 0: the scheduler leaves it out; what runs on it goes on. */
  enabled: number;
  disabled_reason: string | null;
  /** 1: its agent only compares and reports, after a restored backup, until an operator accepts it; it gets no servers. */
  observe_only: Generated<number>;
  agent_url: string;
  underlay_ip: string;
  boot_id: string | null;
  /** JSON of protocol HostFacts. */
  facts: string | null;
  /** JSON of the last heartbeat's usage. */
  usage: string | null;
  /** JSON of the last heartbeat's orphans. */
  orphans: string | null;
  simulated: number;
  /** No spec pushed so far has a higher sequence number; reserved in blocks. */
  sequence: number;
  /** SHA-256 fingerprint of the certificate in use. */
  certificate_fingerprint: string | null;
  /** Of a renewed certificate that the host has not used yet; the one in use stays valid until it does. */
  next_certificate_fingerprint: string | null;
  certificate_expires_at: string | null;
  /** Number of the last certificate that was issued to this host; a later one can only come from a database that was lost. */
  certificate_issue: number | null;
  /** Number of the certificate in use: earlier ones were replaced, later ones up to the last may be used. */
  certificate_used_issue: number | null;
  /** Fingerprint of the authority that issued the certificate in use. */
  certificate_authority: string | null;
  /** JSON list: fingerprints of the authorities that the host's agent trusts, as it last told. */
  trusted_authorities: string | null;
  /** The agent's process, and the number of its newest message with reports that was stored. */
  report_run: string | null;
  report_number: number | null;
  last_seen_at: string | null;
  created_at: string;
}

/** One-time permission to join, stored as a hash. */
export interface JoinTokenTable {
  hash: string;
  /** When set, only a host of this name may use it. */
  host_name: string | null;
  created_at: string;
  expires_at: string;
  used_at: string | null;
  /** SHA-256 of the public key that was certified: the same key may ask again when the answer was lost. */
  used_by_key: string | null;
}

/** What a host last reported about one object. */
export interface ObjectReportTable {
  host_id: string;
  object_key: string;
  revision: string | null;
  state: string;
  /** JSON of ObjectError. */
  error: string | null;
  /** JSON of what was observed. */
  observed: string | null;
  reported_at: string;
}

/**
 * A physical-network alias that a host offers, such as `extnet` on `br-ex`; derived from the host's facts so that the
 * scheduler can join on it.
 */
export interface HostPhysicalNetworkTable {
  host_id: string;
  physical_network: string;
}

/** Objects that were deleted in the API and whose data the host has yet to destroy. */
export interface TombstoneTable {
  host_id: string;
  object_key: string;
  /** JSON of the last body, so that the host knows what belonged to it. */
  body: string;
  request_id: string | null;
  created_at: string;
}

export interface HostTables {
  host: HostTable;
  join_token: JoinTokenTable;
  object_report: ObjectReportTable;
  host_physical_network: HostPhysicalNetworkTable;
  tombstone: TombstoneTable;
}
