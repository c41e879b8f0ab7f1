import type { Resources } from '../allocation/claim.js';

/** The zone of hosts that no aggregate puts into another. */
export const DEFAULT_ZONE = 'nova';

/** What a server needs of its host. */
export interface PlacementRequest {
  readonly resources: Resources;
  /** Null: any zone. */
  readonly availability_zone: string | null;
  /** Name of the only host that will do; null: any. */
  readonly host: string | null;
  readonly physical_networks: readonly string[];
  /** Hosts that were tried in vain, or must not be used, and why. */
  readonly avoid: Readonly<Record<string, string>>;
  /** When given, only these hosts will do, and why. */
  readonly only: { readonly hosts: readonly string[]; readonly reason: string } | null;
}

/** A host as the scheduler sees it. */
export interface Candidate {
  readonly id: string;
  readonly name: string;
  readonly up: boolean;
  readonly enabled: boolean;
  readonly disabled_reason: string | null;
  readonly zones: ReadonlySet<string>;
  readonly physical_networks: ReadonlySet<string>;
  readonly capacities: ReadonlyMap<
    string,
    {
      readonly total: number;
      readonly reserved: number;
      readonly allocation_ratio: number;
      readonly max_unit: number;
      readonly used: number;
    }
  >;
}

/** What the scheduler thinks of one host: kept with the server, shown by `maru server explain`. */
export interface Verdict {
  readonly host: string;
  readonly host_id: string;
  readonly ok: boolean;
  /** Every reason against it. */
  readonly reasons: readonly string[];
  /** 0 to 1, larger is better; only for hosts that will do. */
  readonly weight: number;
}
