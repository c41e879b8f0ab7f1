import type { NetworkTables } from '../../store/tables/network.js';
import type { Context } from '../context.js';
import { conflict, MaruError } from '../errors.js';
import { owns } from '../network/access.js';

type Network = NetworkTables['network'];

/** Attributes of ports that only the owner of the network, or an administrator, may set. */
const NETWORK_OWNERS_ONLY = ['mac_address', 'port_security_enabled', 'allowed_address_pairs'] as const;

/** Refuses what a tenant may not say about a port on somebody else's (shared) network. */
export function checkPortRights(
  ctx: Context,
  network: Network,
  given: Readonly<Record<string, unknown>>,
  action: 'create_port' | 'update_port',
): void {
  if (owns(ctx, network)) return;
  for (const name of NETWORK_OWNERS_ONLY) {
    const value = given[name];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    throw disallowed(`${action}:${name}`, action);
  }
  const fixed = given.fixed_ips as readonly { ip_address?: string }[] | undefined;
  if (fixed?.some((ip) => ip.ip_address)) throw disallowed(`${action}:fixed_ips:ip_address`, action);
  if (String(given.device_owner ?? '').startsWith('network:'))
    throw disallowed(`${action}:device_owner`, action);
}

/** Owners whose ports are made by the service itself: hosts connect routers and DHCP servers by them. */
const SERVICE_OWNERS: ReadonlySet<string> = new Set([
  'network:dhcp',
  'network:floatingip',
  'network:router_gateway',
  'network:router_interface',
]);

/**
 * Refuses to make a port one of a router's or of another service, or to hand such a port on: else anybody could plug his
 * network into somebody else's router by writing its id into device_id.
 */
export function checkServiceOwner(
  port: NetworkTables['port'] | null,
  given: { readonly device_owner?: string; readonly device_id?: string },
  action: 'create_port' | 'update_port',
): void {
  const owner = given.device_owner;
  if (owner !== undefined && owner !== port?.device_owner && SERVICE_OWNERS.has(owner)) {
    throw disallowed(`${action}:device_owner`, action);
  }
  if (!port || !SERVICE_OWNERS.has(port.device_owner)) return;
  if (owner !== undefined && owner !== port.device_owner) throw disallowed(`${action}:device_owner`, action);
  if (given.device_id !== undefined && given.device_id !== port.device_id) {
    throw disallowed(`${action}:device_id`, action);
  }
}

/** Groups and address pairs only make sense where port security filters. */
export function checkPortSecurity(
  enabled: boolean,
  groupIds: readonly string[],
  addressPairs: readonly unknown[],
): void {
  if (enabled) return;
  if (groupIds.length > 0) {
    throw conflict(
      'Port has security group associated. Cannot disable port security or IP address until security group is removed.',
      'PortSecurityPortHasSecurityGroup',
    );
  }
  if (addressPairs.length > 0) {
    throw conflict(
      'Port Security must be enabled in order to have allowed address pairs on a port.',
      'AddressPairAndPortSecurityRequired',
    );
  }
}

export function disallowed(rule: string, action: string): MaruError {
  return new MaruError('forbidden', `(rule:${action} and rule:${rule}) is disallowed by policy`, {
    type: 'PolicyNotAuthorized',
  });
}
