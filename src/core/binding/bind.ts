import { hostName } from '../../store/network/network.js';
import { bindingsOfPorts, setBinding } from '../../store/network/port.js';
import { findRow, updateRow } from '../../store/network/rows.js';
import type { Tx } from '../../store/store.js';
import { holdOnHost } from '../address/give-back.js';
import { portNotFound } from '../network/problems.js';
import { recordPortMoved } from '../port/changes.js';
import { ensureDhcpPort } from '../port/dhcp-port.js';

/**
 * Binds a port to a host: from then on the host has its tap device, and its network, DHCP and security groups. The port
 * is DOWN until the host has reported it. Binding it again to the same host changes nothing.
 */
export async function bindPort(tx: Tx, portId: string, hostId: string): Promise<void> {
  const port = await findRow(tx, 'port', portId);
  if (!port) throw portNotFound(portId);
  const bindings = await bindingsOfPorts(tx, [portId]);
  if (bindings.length === 1 && bindings[0]?.host_id === hostId) return;
  const binding_host = (await hostName(tx, hostId)) ?? hostId;
  for (const { host_id } of bindings) if (host_id !== hostId) await holdOnHost(tx, port, host_id);
  await setBinding(tx, portId, hostId);
  await updateRow(tx, 'port', portId, { binding_host, status: 'DOWN' });
  const network = await findRow(tx, 'network', port.network_id);
  if (network) await ensureDhcpPort(tx, network);
  await recordPortMoved(tx, port);
}

/** Takes a port off its host. */
export async function unbindPort(tx: Tx, portId: string): Promise<void> {
  const port = await findRow(tx, 'port', portId);
  if (!port) return;
  for (const { host_id } of await bindingsOfPorts(tx, [portId])) await holdOnHost(tx, port, host_id);
  await setBinding(tx, portId, null);
  await updateRow(tx, 'port', portId, { binding_host: '', status: 'DOWN' });
  await recordPortMoved(tx, port);
}
