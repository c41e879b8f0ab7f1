import { groupsOfPorts } from '../../store/network/port.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';

type Port = NetworkTables['port'];

/** Records everything that hosts may see differently when a port changes: itself, its neighbours, its groups' members. */
export async function recordPortChange(tx: Tx, port: Port): Promise<void> {
  await recordChange(tx, 'port', port.id);
  await recordNetworkPorts(tx, port);
  for (const group of await groupsOfPorts(tx, [port.id])) {
    await recordChange(tx, 'group-members', group.security_group_id);
  }
}

/** A port came, went or moved on its network. The DHCP port is part of the network's service on every host. */
export async function recordNetworkPorts(
  tx: Tx,
  port: Pick<Port, 'network_id' | 'device_owner'>,
): Promise<void> {
  const kind = port.device_owner === 'network:dhcp' ? 'network' : 'network-ports';
  await recordChange(tx, kind, port.network_id);
}
