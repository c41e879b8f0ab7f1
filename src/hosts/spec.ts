import type { AnyHostKind } from '../desired/kind.js';
import { objectKey, parseKey, specObject } from '../protocol/keys.js';
import type { ObjectBodies, ObjectKey, ObjectKind, Spec, SpecObject } from '../protocol/objects.js';
import { listTombstonesOfHosts } from '../store/hosts.js';
import type { Reader, Store } from '../store/store.js';
import type { DirtyKinds } from './dirty.js';

/** What a host should have now, of the kinds that were asked for. */
export interface ComputedSpec {
  /** Objects of the computed kinds, and every tombstone. */
  readonly spec: Spec;
  readonly computed: ReadonlySet<ObjectKind>;
  /** Kinds whose objects could not be worked out: what the host has of them stays as it is. */
  readonly failed: ReadonlyMap<ObjectKind, Error>;
  /** Ids that objects mention, by kind. */
  readonly mentioned: ReadonlyMap<ObjectKind, ReadonlySet<string>>;
}

type Body = ObjectBodies[ObjectKind];
type Objects = ReadonlyMap<string, Body>;

/** Works out a host's whole spec in one snapshot of the database. */
export async function computeSpec(
  store: Store,
  kinds: readonly AnyHostKind[],
  hostId: string,
): Promise<ComputedSpec> {
  return await store.snapshot(
    async (db) => (await computeSpecs(db, kinds, new Map([[hostId, 'all']]))).get(hostId)!,
  );
}

/** Works out, for each host, the kinds asked for; hosts share queries, and what is equal for several is rendered once. */
export async function computeSpecs(
  db: Reader,
  kinds: readonly AnyHostKind[],
  wanted: ReadonlyMap<string, DirtyKinds>,
): Promise<Map<string, ComputedSpec>> {
  const building = new Map([...wanted.keys()].map((hostId) => [hostId, new Building()]));
  const rendered = new Map<Body, Rendered>();
  for (const kind of kinds) {
    const hostIds = [...wanted].flatMap(([id, of]) => (of === 'all' || of.has(kind.kind) ? [id] : []));
    if (hostIds.length === 0) continue;
    for (const [hostId, objects] of await objectsOf(db, kind, hostIds)) {
      building.get(hostId)!.add(kind.kind, objects, rendered);
    }
  }
  // a tombstone outweighs a live object: whoever writes one has decided
  for (const { host_id, object_key, body } of await listTombstonesOfHosts(db, [...wanted.keys()])) {
    const { kind, id } = parseKey(object_key);
    const host = building.get(host_id)!;
    host.spec[object_key] = specObject(JSON.parse(body), true);
    host.mention(kind, [id]);
  }
  return building;
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

interface Rendered {
  readonly object: SpecObject;
  readonly ids: ReadonlySet<string>;
}

class Building implements ComputedSpec {
  readonly spec: Record<ObjectKey, SpecObject> = {};
  readonly computed = new Set<ObjectKind>();
  readonly failed = new Map<ObjectKind, Error>();
  readonly mentioned = new Map<ObjectKind, Set<string>>();

  add(kind: ObjectKind, objects: Objects | Error, rendered: Map<Body, Rendered>): void {
    if (objects instanceof Error) {
      this.failed.set(kind, objects);
      return;
    }
    this.computed.add(kind);
    this.mention(kind, []);
    for (const [id, body] of objects) {
      let done = rendered.get(body);
      if (!done) {
        const ids = new Set<string>();
        collect(body, false, ids);
        done = { object: specObject(body), ids };
        rendered.set(body, done);
      }
      this.spec[objectKey(kind, id)] = done.object;
      this.mention(kind, [id]);
      this.mention(kind, done.ids);
    }
  }

  mention(kind: ObjectKind, ids: Iterable<string>): void {
    const known = this.mentioned.get(kind) ?? new Set<string>();
    for (const id of ids) known.add(id);
    this.mentioned.set(kind, known);
  }
}

/** For every host its objects of a kind, or why they cannot be worked out. One host's broken row is not the others' trouble. */
async function objectsOf(
  db: Reader,
  kind: AnyHostKind,
  hostIds: readonly string[],
): Promise<Map<string, Objects | Error>> {
  const none: Objects = new Map();
  if (kind.objectsOfHosts) {
    try {
      const all: ReadonlyMap<string, Objects> = await kind.objectsOfHosts(db, hostIds);
      return new Map(hostIds.map((id) => [id, all.get(id) ?? none]));
    } catch (error) {
      if (hostIds.length === 1) return new Map([[hostIds[0]!, error as Error]]);
    }
  }
  const found = new Map<string, Objects | Error>();
  for (const id of hostIds) {
    try {
      found.set(id, await kind.objects(db, id));
    } catch (error) {
      found.set(id, error as Error);
    }
  }
  return found;
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
