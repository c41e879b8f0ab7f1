import { setBinding } from '../../store/network/port.js';
import { floatingIpsOfPort } from '../../store/network/router.js';
import { deleteRow } from '../../store/network/rows.js';
import { deleteTags } from '../../store/network/tag.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { giveBackAddresses } from '../address/give-back.js';
import { disassociate } from '../floating-ip/disassociate.js';
import { recordPortMoved } from './changes.js';

/** Removes a port with all that hangs on it; floating IPs stay with their project, unassociated. */
export async function removePort(tx: Tx, port: NetworkTables['port']): Promise<void> {
  await recordPortMoved(tx, port);
  await dropAssociations(tx, port.id);
  await giveBackAddresses(tx, port);
  await setBinding(tx, port.id, null);
  await deleteTags(tx, [port.id]);
  await deleteRow(tx, 'port', port.id);
}

/** Takes floating IPs off a port, or only off those of its addresses that it loses. */
export async function dropAssociations(tx: Tx, portId: string, addresses?: readonly string[]): Promise<void> {
  for (const floating of await floatingIpsOfPort(tx, portId)) {
    if (addresses && !addresses.includes(floating.fixed_ip_address ?? '')) continue;
    await disassociate(tx, floating);
    await recordChange(tx, 'floating-ip', floating.id);
    if (floating.router_id) await recordChange(tx, 'router', floating.router_id);
  }
}
