import type { ObjectBodies, ObjectKind } from '../protocol/objects.js';
import type { ChangeKind, Reader } from '../store/store.js';

/** A row that changed. */
export interface HostChange {
  readonly kind: ChangeKind;
  readonly id: string;
}

/**
 * One kind of object that hosts have: rows → objects of a host, and its inverse, changed row → hosts. Delivery calls both
 * with a reader inside one snapshot; neither writes. Bodies are built by pure functions in src/desired/<kind>.ts from rows
 * that src/store reads.
 */
export interface HostKind<K extends ObjectKind = ObjectKind> {
  readonly kind: K;
  /**
   * Hosts that have to be looked at because of the change; may name too many, never too few. Hosts whose last spec mentions
   * the changed row's id are looked at in any case, so rows that are gone or moved away need no answer here.
   */
  hostsOf(db: Reader, change: HostChange): Promise<readonly string[]>;
  /** Every object of this kind that the host should have, by object id. */
  objects(db: Reader, hostId: string): Promise<ReadonlyMap<string, ObjectBodies[K]>>;
}

/** A kind in a list of several. */
export type AnyHostKind = { [K in ObjectKind]: HostKind<K> }[ObjectKind];
