import { canonicalJson, parseKey } from '../protocol/keys.js';
import type { HostSettings } from '../protocol/messages.js';
import type { ObjectKey, Spec, SpecObject } from '../protocol/objects.js';
import type { ComputedSpec } from './spec.js';

/** What a host is known to hold. */
export interface Acknowledged {
  readonly incarnation: string;
  readonly digest: string;
  readonly revisions: ReadonlyMap<ObjectKey, string>;
  /** Its settings in canonical JSON. */
  readonly settingsText: string;
}

/** What a push has to say. */
export interface Difference {
  /** Digest of what it was computed against; null: full. */
  readonly base: string | null;
  readonly changed: Spec;
  readonly removed: readonly ObjectKey[];
  /** What the host holds once it has taken it. */
  readonly revisions: ReadonlyMap<ObjectKey, string>;
  readonly settings: HostSettings;
}

/** What was computed against what the host holds; null: it holds it already. Kinds that were not computed stay as they are. */
export function difference(
  held: Acknowledged | null,
  { spec, computed }: Pick<ComputedSpec, 'spec' | 'computed'>,
  settings: HostSettings,
): Difference | null {
  const changed: Record<ObjectKey, SpecObject> = {};
  const revisions = new Map<ObjectKey, string>();
  const removed: ObjectKey[] = [];
  for (const [key, revision] of held?.revisions ?? []) {
    if (key in spec) continue;
    if (computed.has(parseKey(key).kind)) removed.push(key);
    else revisions.set(key, revision);
  }
  for (const [key, object] of Object.entries(spec) as [ObjectKey, SpecObject][]) {
    revisions.set(key, object.revision);
    if (held?.revisions.get(key) !== object.revision) changed[key] = object;
  }
  if (!held) return { base: null, changed, removed, revisions, settings };
  const same = canonicalJson(settings) === held.settingsText;
  if (same && removed.length === 0 && Object.keys(changed).length === 0) return null;
  return { base: held.digest, changed, removed, revisions, settings };
}
