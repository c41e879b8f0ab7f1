import type { Generated } from 'kysely';

/** A controller process, from its start until it ends or is not heard of for a day. Times are the database's, in ms since 1970. */
export interface ControllerTable {
  id: string;
  name: string;
  /** Where its API listens. */
  address: string;
  started_at: number;
  heard_at: number;
  /** Until then the hosts it has are its own; 0: it was given up. */
  lease_until: number;
  /** 1: it reaches the database, but no host. */
  isolated: Generated<number>;
}

/** Which controller delivers to a host. */
export interface HostDeliveryTable {
  host_id: string;
  /** null: nobody; the lease is the controller's. */
  controller_id: string | null;
  /** Rises with each new owner: what an old one wants to reserve is refused. */
  epoch: Generated<number>;
  /** Why its spec could not be delivered at the last attempt. */
  fault: string | null;
  /** Since when attempts have failed, by the database's clock. */
  failing_since: number | null;
  /** 1: an operator agreed that the next push destroys many guests. */
  removal_confirmed: Generated<number>;
}

/** When and how a host was last heard of, by whichever controller; written every few seconds. */
export interface HostContactTable {
  host_id: string;
  controller_id: string;
  /** The database's clock, in ms since 1970. */
  contact_at: number;
  /** What the host said it holds. */
  incarnation: string | null;
  digest: string | null;
}

export interface ControllerTables {
  controller: ControllerTable;
  host_delivery: HostDeliveryTable;
  host_contact: HostContactTable;
}
