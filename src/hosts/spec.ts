import type { AnyHostKind } from '../desired/kind.js';
import { objectKey, parseKey, specObject } from '../protocol/keys.js';
import type { ObjectBodies, ObjectKey, ObjectKind, Spec, SpecObject } from '../protocol/objects.js';
import { listTombstones } from '../store/hosts.js';
import type { Reader, Store } from '../store/store.js';

/** What a host should have now. */
export interface ComputedSpec {
  readonly spec: Spec;
  /** Kinds whose objects could not be worked out: what the host has of them stays as it is. */
  readonly failed: ReadonlyMap<ObjectKind, Error>;
}

/** Works out a host's whole spec in one snapshot of the database. */
export async function computeSpec(
  store: Store,
  kinds: readonly AnyHostKind[],
  hostId: string,
): Promise<ComputedSpec> {
  return await inSnapshot(store, async (db) => {
    const spec: Record<ObjectKey, SpecObject> = {};
    const failed = new Map<ObjectKind, Error>();
    for (const kind of kinds) {
      try {
        const objects: ReadonlyMap<string, ObjectBodies[ObjectKind]> = await kind.objects(db, hostId);
        for (const [id, body] of objects) spec[objectKey(kind.kind, id)] = specObject(body);
      } catch (error) {
        failed.set(kind.kind, error as Error);
      }
    }
    // a tombstone outweighs a live object: whoever writes one has decided
    for (const { object_key, body } of await listTombstones(db, hostId)) {
      spec[object_key] = specObject(JSON.parse(body), true);
    }
    return { spec, failed };
  });
}

/** Runs reads that must agree with each other. */
export async function inSnapshot<T>(store: Store, body: (db: Reader) => Promise<T>): Promise<T> {
  return await store.read.transaction().setIsolationLevel('repeatable read').execute(body);
}

/** Ids that the spec's objects mention: their own, and those in fields named `id`, `…_id` and `…_ids`. */
export function mentionedIds(spec: Spec): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const [key, object] of Object.entries(spec)) {
    ids.add(parseKey(key).id);
    collect(object.body, false, ids);
  }
  return ids;
}

function collect(value: unknown, isId: boolean, ids: Set<string>): void {
  if (typeof value === 'string') {
    if (isId) ids.add(value);
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, isId, ids);
  } else if (value !== null && typeof value === 'object') {
    for (const [name, item] of Object.entries(value)) {
      collect(item, name === 'id' || name === 'uuid' || name.endsWith('_id') || name.endsWith('_ids'), ids);
    }
  }
}
