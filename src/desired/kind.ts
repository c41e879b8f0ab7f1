import type { ObjectBodies, ObjectKind } from '../protocol/objects.js';
import type { ChangeKind, Reader } from '../store/store.js';

/** A row that changed. */
export interface HostChange {
  readonly kind: ChangeKind;
  readonly id: string;
}

/** Objects of one kind by object id. */
export type ObjectsOf<K extends ObjectKind> = ReadonlyMap<string, ObjectBodies[K]>;

/**
 * One kind of object that hosts have: rows → objects of a host, and its inverse, changed row → hosts. Delivery calls all of
 * it with a reader inside one snapshot; nothing here writes. Bodies are built by pure functions in src/desired/<kind>.ts from rows
 * that src/store reads.
 */
export interface HostKind<K extends ObjectKind = ObjectKind> {
  readonly kind: K;
  /**
   * Kinds of changes after which objects of this kind may differ. Others leave them as they are: hosts' objects of this kind
   * are not even computed then. A change of a listed kind concerns the hosts that `hostsOf` names, and those whose last spec
   * mentions the changed row's id in whatever object.
   */
  readonly dependsOn: readonly ChangeKind[];
  /**
   * Hosts whose objects of this kind may differ after a change of a kind in `dependsOn`; may name too many, never too few.
   * Rows that are gone or moved away need no answer: specs that mention them are looked at in any case.
   */
  hostsOf(db: Reader, change: HostChange): Promise<readonly string[]>;
  /** Every object of this kind that the host should have. */
  objects(db: Reader, hostId: string): Promise<ObjectsOf<K>>;
  /** The same for several hosts with queries shared between them; hosts without any object may be left out. */
  objectsOfHosts?(db: Reader, hostIds: readonly string[]): Promise<ReadonlyMap<string, ObjectsOf<K>>>;
}

/** A kind in a list of several. */
export type AnyHostKind = { [K in ObjectKind]: HostKind<K> }[ObjectKind];

/** A kind whose objects are worked out for many hosts at once. */
export function batched<K extends ObjectKind>(
  kind: Omit<HostKind<K>, 'objects'> & Required<Pick<HostKind<K>, 'objectsOfHosts'>>,
): HostKind<K> {
  return {
    ...kind,
    objects: async (db, hostId) => (await kind.objectsOfHosts(db, [hostId])).get(hostId) ?? new Map(),
  };
}
