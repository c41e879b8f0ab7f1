import type { Resources } from '../allocation/claim.js';

/** The zone of hosts that no aggregate puts into another. */
export const DEFAULT_ZONE = 'nova';

/** What a server or volume needs of its host. */
export interface PlacementRequest {
  readonly resources: Resources;
  /** For aggregates that are kept for certain projects; null: nobody's. */
  readonly project_id: string | null;
  /** Null: any zone. */
  readonly availability_zone: string | null;
  /** Name of the only host that will do; null: any. */
  readonly host: string | null;
  readonly physical_networks: readonly string[];
  /** Hosts that were tried in vain, or must not be used, and why. */
  readonly avoid: Readonly<Record<string, string>>;
  /** When given, only these hosts will do, and why. */
  readonly only: { readonly hosts: readonly string[]; readonly reason: string } | null;
  readonly image: ImageWishes | null;
  /** The flavor's, as far as they are about hosts: `aggregate_instance_extra_specs:…`. */
  readonly extra_specs: Readonly<Record<string, string>>;
  readonly group: GroupWish | null;
}

/** What an image says of the hosts it runs on. */
export interface ImageWishes {
  /** Bytes of the file, which a host has to fetch. */
  readonly size: number;
  readonly properties: Readonly<Record<string, string>>;
}

/** The server group of a server; how many of its other members each host has. */
export interface GroupWish {
  readonly policy: string;
  readonly members: Readonly<Record<string, number>>;
  /** Under anti-affinity. */
  readonly max_per_host: number;
}

/** A request for nothing in particular, to be completed. */
export const NO_WISHES: PlacementRequest = {
  resources: {},
  project_id: null,
  availability_zone: null,
  host: null,
  physical_networks: [],
  avoid: {},
  only: null,
  image: null,
  extra_specs: {},
  group: null,
};

export interface CandidateCapacity {
  readonly total: number;
  readonly reserved: number;
  readonly allocation_ratio: number;
  readonly max_unit: number;
  readonly used: number;
}

/** A host as the scheduler sees it. */
export interface Candidate {
  readonly id: string;
  readonly name: string;
  /** Null: it is up; else why it is not. */
  readonly down: string | null;
  readonly enabled: boolean;
  readonly disabled_reason: string | null;
  /** Its agent changes nothing until an operator has accepted it. */
  readonly observe_only: boolean;
  /** Why its spec has not been delivered for long; null when it takes its specs. */
  readonly undelivered: string | null;
  readonly zones: ReadonlySet<string>;
  readonly aggregates: readonly CandidateAggregate[];
  readonly physical_networks: ReadonlySet<string>;
  readonly virt_type: string | null;
  /** As `uname -m` has it; null when it has not told. */
  readonly architecture: string | null;
  /** Size and use of the file system that holds disks, as last measured; null when unknown. */
  readonly disk: { readonly total_gb: number; readonly used_gb: number } | null;
  readonly capacities: ReadonlyMap<string, CandidateCapacity>;
}

export interface CandidateAggregate {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Why a host will not do: the predicate's name, and words with numbers. */
export interface Reason {
  readonly predicate: string;
  readonly reason: string;
}

/** What the scheduler thinks of one host: kept with the server, shown by `maru server explain`. */
export interface Verdict {
  readonly host: string;
  readonly host_id: string;
  readonly ok: boolean;
  /** Every reason against it. */
  readonly reasons: readonly Reason[];
  /** 0 to 1, larger is better; only for hosts that will do. */
  readonly weight: number;
  /** What each weigher gave, 0 to 1 over the hosts compared. */
  readonly weights: Readonly<Record<string, number>>;
}
