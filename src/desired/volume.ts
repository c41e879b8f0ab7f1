import type { ImageRef, VolumeObject } from '../protocol/objects.js';
import { hostOfVolume, volumesOfHost } from '../store/volume.js';
import type { HostKind } from './kind.js';

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

export const volumeKind: HostKind<'volume'> = {
  kind: 'volume',
  async hostsOf(db, change) {
    if (change.kind !== 'volume') return [];
    const host = await hostOfVolume(db, change.id);
    return host === null ? [] : [host];
  },
  async objects(db, hostId) {
    return new Map((await volumesOfHost(db, hostId)).map((row) => [row.id, desiredVolume(row)]));
  },
};
