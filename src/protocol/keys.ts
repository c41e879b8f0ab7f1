import { createHash } from 'node:crypto';
import { DEFAULT_SETTINGS, type HostSettings } from './messages.js';
import type { ObjectBodies, ObjectKey, ObjectKind, SpecObject } from './objects.js';

/** The key of an object in a spec. */
export function objectKey(kind: ObjectKind, id: string): ObjectKey {
  return `${kind}/${id}`;
}

/** Splits `kind/id`; ids may contain any character but the first slash ends the kind. */
export function parseKey(key: string): { kind: ObjectKind; id: string } {
  const slash = key.indexOf('/');
  return { kind: key.slice(0, slash) as ObjectKind, id: key.slice(slash + 1) };
}

/** Wraps a body with its revision: 22 base64url characters of the SHA-256 of its canonical JSON. */
export function specObject<K extends ObjectKind>(body: ObjectBodies[K], tombstone = false): SpecObject<K> {
  const hash = createHash('sha256').update(canonicalJson(body));
  if (tombstone) hash.update('tombstone');
  const revision = hash.digest('base64url').slice(0, 22);
  return tombstone ? { revision, tombstone: true, body } : { revision, body };
}

/**
 * One hash over all keys and revisions of a spec, and the settings that came with it, to compare what both sides hold without
 * sending it. Settings that are the defaults add nothing.
 */
export function specDigest(
  spec: Readonly<Record<string, { readonly revision: string }>>,
  settings: HostSettings = DEFAULT_SETTINGS,
): string {
  const hash = createHash('sha256');
  const text = canonicalJson(settings);
  if (text !== canonicalJson(DEFAULT_SETTINGS)) hash.update(`${text}\n`);
  for (const key of Object.keys(spec).sort()) hash.update(`${key}=${spec[key]?.revision}\n`);
  return hash.digest('base64url').slice(0, 22);
}

/** JSON with sorted keys, so that equal bodies have equal text whatever the order they were built in. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
