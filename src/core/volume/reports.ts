import { parseKey } from '../../protocol/keys.js';
import type { ObjectReport } from '../../protocol/messages.js';
import { nowText, type Tx } from '../../store/store.js';
import { deleteVolumeRow, findVolume, updateVolume } from '../../store/volume.js';
import { releaseResources } from '../allocation/claim.js';

/** Brings volumes' statuses up to what their host reports; in the transaction that stores the reports. */
export async function onVolumeReports(
  tx: Tx,
  hostId: string,
  reports: readonly ObjectReport[],
): Promise<void> {
  for (const report of reports) {
    const { kind, id } = parseKey(report.key);
    if (kind !== 'volume') continue;
    const volume = await findVolume(tx, id);
    const deleted = !volume || volume.delete_requested_at !== null;
    // also of one that the API forgot while its host was down
    if (report.state === 'gone' && deleted) await releaseResources(tx, id, hostId);
    if (!volume || volume.host_id !== hostId) continue;
    if (report.state === 'gone') {
      if (deleted) await deleteVolumeRow(tx, id);
    } else if (report.state === 'applied' && ['creating', 'error'].includes(volume.status)) {
      await updateVolume(tx, id, { status: 'available', fault: null, updated_at: nowText() });
    } else if (report.state === 'error' && ['creating', 'deleting'].includes(volume.status)) {
      const status = volume.status === 'creating' ? 'error' : 'error_deleting';
      await updateVolume(tx, id, { status, fault: JSON.stringify(report.error), updated_at: nowText() });
    }
  }
}
