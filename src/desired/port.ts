import type { PortObject } from '../protocol/objects.js';
import type { NetworkTables } from '../store/tables/network.js';

/** A guest's port as its host should have it. */
export function portObject(
  port: NetworkTables['port'],
  mtu: number,
  fixedIps: readonly string[],
  groupIds: readonly string[],
): PortObject {
  const secure = port.port_security_enabled === 1;
  return {
    id: port.id,
    network_id: port.network_id,
    device_id: port.server_id ?? '',
    mac: port.mac_address,
    mtu,
    admin_state_up: port.admin_state_up === 1,
    fixed_ips: fixedIps,
    allowed_address_pairs: JSON.parse(port.allowed_address_pairs),
    port_security: secure,
    security_group_ids: secure ? [...groupIds].sort() : [],
  };
}
