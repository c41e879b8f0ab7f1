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
  return new MaruError('forbidden', `((rule:${action} and rule:${rule})) is disallowed by policy`, {
    type: 'PolicyNotAuthorized',
  });
}
