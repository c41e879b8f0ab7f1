import { deleteRow, findRow } from '../../store/network/rows.js';
import { deleteTags } from '../../store/network/tag.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { giveBackAddresses } from '../address/give-back.js';

/** Removes a floating IP; its address is free once the router's host has dropped it. */
export async function removeFloatingIp(tx: Tx, floating: NetworkTables['floating_ip']): Promise<void> {
  const port = await findRow(tx, 'port', floating.floating_port_id);
  if (port) await giveBackAddresses(tx, port);
  await deleteRow(tx, 'floating_ip', floating.id);
  if (port) await deleteRow(tx, 'port', port.id);
  await deleteTags(tx, [floating.id]);
  await recordChange(tx, 'floating-ip', floating.id);
  if (floating.router_id) await recordChange(tx, 'router', floating.router_id);
  if (floating.fixed_port_id) await recordChange(tx, 'port', floating.fixed_port_id);
}
