import type { ObjectKey } from '../protocol/objects.js';
import type { Reader } from './store.js';

/** Hosts that have yet to confirm that they destroyed an object. A host that was removed does not have to any more. */
export async function unconfirmedHosts(db: Reader, key: ObjectKey): Promise<{ id: string; name: string }[]> {
  return await db
    .selectFrom('tombstone')
    .innerJoin('host', 'host.id', 'tombstone.host_id')
    .select(['host.id', 'host.name'])
    .where('object_key', '=', key)
    .orderBy('host.name')
    .execute();
}
