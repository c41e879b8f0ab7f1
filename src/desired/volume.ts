import type { ImageRef, VolumeObject } from '../protocol/objects.js';
import { hostOfVolume, volumesOfHosts } from '../store/volume.js';
import { dependencies } from './finders.js';
import { byHost } from './groups.js';
import { batched, type HostKind } from './kind.js';

const GIB = 1024 ** 3;

/** A volume's row as its host should have it. */
export function desiredVolume(row: {
  readonly id: string;
  readonly size_gb: number;
  readonly image: string | null;
}): VolumeObject {
  return {
    id: row.id,
    format: 'qcow2',
    size_bytes: row.size_gb * GIB,
    image: row.image === null ? null : (JSON.parse(row.image) as ImageRef),
  };
}

/** Volumes whose files are on the host. */
export const volumeKind: HostKind<'volume'> = batched({
  kind: 'volume',
  ...dependencies({
    volume: async (db, id) => {
      const host = await hostOfVolume(db, id);
      return host === null ? [] : [host];
    },
  }),
  async objectsOfHosts(db, hostIds) {
    const placed = (await volumesOfHosts(db, hostIds)).map((row) => ({ ...row, host_id: row.host_id! }));
    return byHost(placed, (own) => own.map((row) => [row.id, desiredVolume(row)] as const));
  },
});
