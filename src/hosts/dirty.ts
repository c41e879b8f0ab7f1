import type { AnyHostKind, HostChange } from '../desired/kind.js';
import type { ObjectKind } from '../protocol/objects.js';
import type { Reader } from '../store/store.js';

/** Kinds of a host's objects that may differ from what was last computed. */
export type DirtyKinds = ReadonlySet<ObjectKind> | 'all';

/** A change, and the requests that are the reason for it. */
export interface ReasonedChange extends HostChange {
  readonly requestIds: ReadonlySet<string>;
}

/** What has to be looked at on a host, and why. */
export interface DirtyHost {
  kinds: DirtyKinds;
  readonly requestIds: Set<string>;
}

/** Both together. */
export function joinKinds(a: DirtyKinds, b: DirtyKinds): DirtyKinds {
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
}

/**
 * Changed rows → hosts, each with the kinds of objects that may differ: by the kinds' own word, and by what was last computed, since a
 * row that is gone or moved is still named in the specs that it has to leave.
 */
export async function dirtyHosts(
  db: Reader,
  kinds: readonly AnyHostKind[],
  changes: readonly ReasonedChange[],
  mentioning: (id: string) => Iterable<string>,
  onError: (kind: ObjectKind, change: HostChange, error: unknown) => Iterable<string>,
): Promise<Map<string, DirtyHost>> {
  const dirty = new Map<string, DirtyHost>();
  for (const change of changes) {
    const depending = kinds.filter((kind) => kind.dependsOn.includes(change.kind));
    const mark = (hostId: string, marked: DirtyKinds) => {
      const known = dirty.get(hostId);
      if (!known) dirty.set(hostId, { kinds: marked, requestIds: new Set(change.requestIds) });
      else {
        known.kinds = joinKinds(known.kinds, marked);
        for (const id of change.requestIds) known.requestIds.add(id);
      }
    };
    // the host's own settings are part of its row; what it is to destroy may be of any kind
    if (change.kind === 'host') mark(change.id, new Set());
    if (change.kind === 'tombstone') mark(change.id, 'all');
    if (depending.length === 0) continue;
    const all = new Set(depending.map(({ kind }) => kind));
    for (const hostId of mentioning(change.id)) mark(hostId, all);
    for (const kind of depending) {
      const own = new Set([kind.kind]);
      try {
        for (const hostId of await kind.hostsOf(db, change)) mark(hostId, own);
      } catch (error) {
        for (const hostId of onError(kind.kind, change, error)) mark(hostId, own);
      }
    }
  }
  return dirty;
}
