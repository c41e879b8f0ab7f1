import { randomUUID } from 'node:crypto';
import { normaliseMac, randomMac } from '../../net/mac.js';
import { macIsHeld } from '../../store/network/hold.js';
import { setPortGroups } from '../../store/network/port.js';
import { insertRow } from '../../store/network/rows.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { claimAutomaticIps, claimFixedIps, type FixedIpRequest } from '../address/fixed-ips.js';
import { checkMacFree } from '../address/give-back.js';
import { MaruError } from '../errors.js';
import { macInUse } from '../network/problems.js';
import { recordNetworkPorts } from './changes.js';

type Network = NetworkTables['network'];
type Port = NetworkTables['port'];
type Subnet = NetworkTables['subnet'];

/** A port to be made; what is left out has a port's usual value. */
export interface NewPort extends Partial<Omit<Port, 'network_id' | 'project_id'>> {
  readonly project_id: string;
  /** Addresses wanted; absent: automatic ones; an empty list: none. */
  readonly fixed_ips?: readonly FixedIpRequest[] | undefined;
  readonly security_group_ids?: readonly string[];
}

/** How often a random MAC is drawn before giving up; with 2²⁴ of them a second try is already rare. */
const MAC_TRIES = 16;

/** Makes a port with its MAC, addresses and groups. Rules about who may ask for what are the caller's. */
export async function insertPort(
  tx: Tx,
  network: Network,
  subnets: readonly Subnet[],
  input: NewPort,
): Promise<Port> {
  const port = await insertWithMac(tx, network, input);
  if (input.fixed_ips) await claimFixedIps(tx, port, port.device_owner, subnets, input.fixed_ips);
  else await claimAutomaticIps(tx, port, port.device_owner, subnets);
  if (input.security_group_ids) await setPortGroups(tx, port.id, input.security_group_ids);
  await recordChange(tx, 'port', port.id);
  // a guest's has no place yet: binding it says so
  if (port.device_owner.startsWith('network:')) await recordNetworkPorts(tx, port);
  for (const id of input.security_group_ids ?? []) await recordChange(tx, 'group-members', id);
  return port;
}

async function insertWithMac(tx: Tx, network: Network, input: NewPort): Promise<Port> {
  const given = input.mac_address ? normaliseMac(input.mac_address) : null;
  if (given) await checkMacFree(tx, network.id, given);
  for (let i = 0; i < (given ? 1 : MAC_TRIES); i++) {
    const mac = given ?? randomMac();
    if (!given && (await macIsHeld(tx, network.id, mac))) continue;
    const port = await insertRow(tx, 'port', portRow(network, input, mac));
    if (port) return port;
  }
  if (given) throw macInUse(network.id, given);
  throw new MaruError('unavailable', `Unable to generate unique mac on network ${network.id}.`, {
    type: 'MacAddressGenerationFailure',
  });
}

function portRow(network: Network, input: NewPort, mac: string) {
  return {
    id: input.id ?? randomUUID(),
    project_id: input.project_id,
    network_id: network.id,
    name: input.name ?? '',
    description: input.description ?? '',
    admin_state_up: input.admin_state_up ?? 1,
    mac_address: mac,
    device_id: input.device_id ?? '',
    device_owner: input.device_owner ?? '',
    status: input.status ?? ('DOWN' as const),
    port_security_enabled: input.port_security_enabled ?? network.port_security_enabled,
    allowed_address_pairs: input.allowed_address_pairs ?? '[]',
    extra_dhcp_opts: input.extra_dhcp_opts ?? '[]',
    dns_name: input.dns_name ?? '',
    binding_host: input.binding_host ?? '',
    vnic_type: input.vnic_type ?? 'normal',
    binding_profile: input.binding_profile ?? '{}',
    server_id: input.server_id ?? null,
    device_index: input.device_index ?? null,
    delete_with_server: input.delete_with_server ?? 0,
  };
}
