import { desiredVolume } from '../../desired/volume.js';
import { addTombstone } from '../../store/hosts.js';
import { nowText, type Reader, recordChange } from '../../store/store.js';
import {
  deleteVolumeRow,
  findVolume,
  listDeletingVolumes,
  moveVolumeStatus,
  updateVolume,
  type VolumeRow,
} from '../../store/volume.js';
import { releaseResources } from '../allocation/claim.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { type MaruError, notFound } from '../errors.js';
import { legalStates, requireLegal } from './legal.js';

/** What of a volume can be changed without its host. */
export interface VolumeUpdate {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A volume that the request reaches; 404 for others'. */
export async function visibleVolume(db: Reader, ctx: Context, id: string): Promise<VolumeRow> {
  const volume = await findVolume(db, id);
  if (!volume || !ctx.reaches(volume.project_id)) throw volumeNotFound(id);
  return volume;
}

export function volumeNotFound(id: string): MaruError {
  return notFound(`Volume ${id} could not be found.`);
}

export async function changeVolume(
  app: App,
  ctx: Context,
  id: string,
  update: VolumeUpdate,
): Promise<VolumeRow> {
  await visibleVolume(app.store.read, ctx, id);
  return await app.store.tx(async (tx) => {
    const { metadata, ...columns } = update;
    await updateVolume(tx, id, {
      ...columns,
      ...(metadata ? { metadata: JSON.stringify(metadata) } : {}),
      updated_at: nowText(),
    });
    return (await findVolume(tx, id))!;
  });
}

/** How long a host that is up may take before the volume shows that it does not manage. */
const DELETE_MS = 300_000;

/**
 * Deletes a volume: its quota is free at once, its capacity and row when the host has destroyed the file. A volume that was never
 * on a host is gone immediately, and so is the row of one whose host is down. Asking again is harmless. `force` (administrators)
 * also deletes one in an intermediate state.
 */
export async function deleteVolume(app: App, ctx: Context, id: string, force = false): Promise<void> {
  const volume = await visibleVolume(app.store.read, ctx, id);
  if (volume.delete_requested_at) return;
  if (!force) requireLegal('delete', volume.status);
  await app.store.tx(async (tx) => {
    const at = nowText();
    const from = force ? [volume.status] : legalStates('delete');
    const moved = await moveVolumeStatus(tx, id, from, {
      status: 'deleting',
      delete_requested_at: at,
      updated_at: at,
    });
    if (!moved) {
      const now = await findVolume(tx, id);
      // another request was faster
      if (!now || now.delete_requested_at) return;
      requireLegal('delete', now.status);
    }
    if (volume.host_id === null) {
      await releaseResources(tx, id);
      await deleteVolumeRow(tx, id);
      return;
    }
    await addTombstone(tx, volume.host_id, 'volume', id, desiredVolume(volume), ctx.requestId);
    await recordChange(tx, 'volume', id, ctx.requestId);
    // a host that is down destroys the file when it comes back; nobody has to wait for that
    if (app.hosts.isDown(volume.host_id)) await deleteVolumeRow(tx, id);
  });
}

/**
 * Ends deletions whose host went down meanwhile, or was removed: a tombstone stays for when it comes back. Those that their host does
 * not get done show it; it goes on trying.
 */
export async function sweepDeletedVolumes(app: App): Promise<void> {
  const late = new Date(Date.now() - DELETE_MS).toISOString();
  for (const { id, host_id, host, status, delete_requested_at } of await listDeletingVolumes(
    app.store.read,
  )) {
    if (host_id === null || host === null || app.hosts.isDown(host_id)) {
      await app.store.tx((tx) => deleteVolumeRow(tx, id));
    } else if (status === 'deleting' && delete_requested_at !== null && delete_requested_at < late) {
      const message = `Host ${host} has not confirmed within ${DELETE_MS / 1000} s that it destroyed the volume.`;
      await app.store.tx((tx) =>
        moveVolumeStatus(tx, id, ['deleting'], {
          status: 'error_deleting',
          fault: JSON.stringify({ message }),
          updated_at: nowText(),
        }),
      );
    }
  }
}
