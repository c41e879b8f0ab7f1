/**
 * Names of devices and namespaces. They follow Neutron's: a prefix and the first characters of an id, because the kernel
 * allows 15 characters in a device name.
 */

/** Host side of a guest's or DHCP server's port: `tap` and 11 characters of the port id. */
export function tapName(portId: string): string {
  return `tap${portId.slice(0, 11)}`;
}

/** Bridge of a tenant network: `brq` and 11 characters of the network id. */
export function bridgeName(networkId: string): string {
  return `brq${networkId.slice(0, 11)}`;
}

/** Tunnel device of a VXLAN network. */
export function vxlanName(vni: number): string {
  return `vxlan-${vni}`;
}

/** The set with the addresses of a group's members on one network; 31 characters are allowed. */
export function memberSetName(family: 4 | 6, groupId: string, networkId: string): string {
  return `maru${family}-${groupId.slice(0, 11)}-${networkId.slice(0, 11)}`;
}

/** Network namespace of a router. */
export function routerNamespace(routerId: string): string {
  return `qrouter-${routerId}`;
}

/** Network namespace of a network's DHCP server. */
export function dhcpNamespace(networkId: string): string {
  return `qdhcp-${networkId}`;
}

/** A router's device in a tenant network. */
export function routerInterfaceName(portId: string): string {
  return `qr-${portId.slice(0, 11)}`;
}

/** A router's device in its external network. */
export function routerGatewayName(portId: string): string {
  return `qg-${portId.slice(0, 11)}`;
}

/** Namespace of a router, or of the DHCP server of a network. */
export function namespaceName(netns: { readonly of: 'router' | 'dhcp'; readonly id: string }): string {
  return netns.of === 'router' ? routerNamespace(netns.id) : dhcpNamespace(netns.id);
}

/** Name of a router's or DHCP server's device inside its namespace. */
export function innerName(device: {
  readonly role: 'gateway' | 'interface' | 'dhcp';
  readonly port_id: string;
}): string {
  if (device.role === 'gateway') return routerGatewayName(device.port_id);
  return device.role === 'interface' ? routerInterfaceName(device.port_id) : dhcpDeviceName(device.port_id);
}

/** The DHCP server's device inside its namespace. */
export function dhcpDeviceName(portId: string): string {
  return `ns-${portId.slice(0, 11)}`;
}
