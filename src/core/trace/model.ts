import type { ObjectKey, Spec } from '../../protocol/objects.js';
import type { TraceCheck, TraceState } from '../../protocol/trace.js';

/** The traffic whose way is traced; null: any. */
export interface Traffic {
  /** Lower-case name or number, as in security group rules. */
  readonly protocol: string | null;
  readonly port: number | null;
  /** Address or block that it comes from. */
  readonly from: string | null;
}

export interface TraceHost {
  readonly id: string;
  readonly name: string;
  readonly underlay_ip: string;
  /** What the host should have, as far as the trace is concerned. */
  readonly spec: Spec;
}

/** Everything that the way of one address goes through, read from the database in one snapshot. */
export interface TraceScene {
  readonly traffic: Traffic;
  readonly floating: {
    readonly id: string;
    readonly address: string;
    readonly fixed: string | null;
    readonly port_id: string | null;
    readonly router_id: string | null;
  } | null;
  /** The guest's port; null: the floating IP is with none, or it is gone. */
  readonly port: {
    readonly id: string;
    readonly network_id: string;
    readonly mac: string;
    readonly addresses: readonly string[];
    readonly admin_state_up: boolean;
    readonly host_id: string | null;
  } | null;
  readonly server: {
    readonly id: string;
    readonly name: string;
    readonly status: string;
    readonly power: string;
  } | null;
  readonly router: {
    readonly id: string;
    readonly name: string;
    readonly host_id: string | null;
    readonly next_host_id: string | null;
    readonly admin_state_up: boolean;
  } | null;
  /** By id: the router's host and the guest's. */
  readonly hosts: ReadonlyMap<string, TraceHost>;
}

/** One thing on the way, and how it should be. */
export interface Hop {
  /** Null: judged from the database alone. */
  readonly host: Pick<TraceHost, 'id' | 'name'> | null;
  readonly what: string;
  /** The object that it is part of. */
  readonly object: ObjectKey | null;
  readonly judge: { readonly check: TraceCheck } | { readonly verdict: Verdict };
}

/** What the database itself says of a hop. */
export interface Verdict {
  readonly state: TraceState;
  readonly detail: string;
  /** Command that shows it. */
  readonly show: string;
  readonly mend?: string;
}

/** A hop as it was found. */
export interface TracedHop extends Verdict {
  /** Name of the host; null: the database. */
  readonly host: string | null;
  readonly what: string;
  readonly object: ObjectKey | null;
}
