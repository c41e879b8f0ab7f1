import { updateRow } from '../../store/network/rows.js';
import type { Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { holdFloatingIp } from '../address/give-back.js';

/** Takes a floating IP off its port and router. What hosts are told, by recordChange, is the caller's to say. */
export async function disassociate(tx: Tx, floating: NetworkTables['floating_ip']): Promise<void> {
  await holdFloatingIp(tx, floating);
  await updateRow(tx, 'floating_ip', floating.id, {
    fixed_port_id: null,
    fixed_ip_address: null,
    router_id: null,
    status: 'DOWN',
  });
}
