import { parseKey } from '../src/protocol/keys.js';
import type { ObjectKey, ServerObject, Spec } from '../src/protocol/objects.js';

/** Everything but servers and volumes is the network part's. */
export function isNetworkKey(key: ObjectKey): boolean {
  return !key.startsWith('server/') && !key.startsWith('volume/');
}

export function networkKeys(spec: Spec): ObjectKey[] {
  return (Object.keys(spec) as ObjectKey[]).filter(isNetworkKey);
}

export function serverKeys(spec: Spec): ObjectKey[] {
  return (Object.keys(spec) as ObjectKey[]).filter((key) => key.startsWith('server/'));
}

/** Guests and volumes that are to go. */
export function tombstones(spec: Spec): ObjectKey[] {
  return (Object.keys(spec) as ObjectKey[]).filter((key) => spec[key]?.tombstone);
}

/** Volumes that a server has as disks. */
export function volumesOf(spec: Spec, key: ObjectKey): ObjectKey[] {
  if (parseKey(key).kind !== 'server' || !spec[key]) return [];
  const { disks } = spec[key].body as ServerObject;
  return disks.filter((disk) => disk.volume_id !== null).map((disk): ObjectKey => `volume/${disk.volume_id}`);
}
