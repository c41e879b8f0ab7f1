import { groupsOfPorts } from '../../store/network/port.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';

type Port = NetworkTables['port'];

/**
 * Records what hosts may see differently when a port's attributes change: itself, and its groups' members. Where it is, and under which
 * MAC, is another matter, which concerns every host of its network: `recordPortMoved`.
 */
export async function recordPortChange(tx: Tx, port: Port): Promise<void> {
  await recordChange(tx, 'port', port.id);
  if (isDhcpPort(port)) await recordNetworkPorts(tx, port);
  for (const group of await groupsOfPorts(tx, [port.id])) {
    await recordChange(tx, 'group-members', group.security_group_id);
  }
}

/** The same for a port that is bound, unbound or removed, or has another MAC: its neighbours have to find it. */
export async function recordPortMoved(tx: Tx, port: Port): Promise<void> {
  await recordPortChange(tx, port);
  if (!isDhcpPort(port)) await recordNetworkPorts(tx, port);
}

/** A port came, went or moved on its network. The DHCP port is part of the network's service on every host. */
export async function recordNetworkPorts(
  tx: Tx,
  port: Pick<Port, 'network_id' | 'device_owner'>,
): Promise<void> {
  await recordChange(tx, isDhcpPort(port) ? 'network' : 'network-ports', port.network_id);
}

function isDhcpPort({ device_owner }: Pick<Port, 'device_owner'>): boolean {
  return device_owner === 'network:dhcp';
}
