import { cidrContains } from '../../net/cidr.js';
import { ipVersion, normaliseIp } from '../../net/ip.js';
import { eui64Address } from '../../net/mac.js';
import { claimAddress } from '../../store/network/address.js';
import type { Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { badRequest } from '../errors.js';
import { addressesExhausted, addressInUse, invalidInput } from '../network/problems.js';
import { type AddressOwner, drawAddress, isAutoAddressed } from './draw.js';

type Subnet = NetworkTables['subnet'];

/** An address wanted for a port: of a subnet, a certain one, or both. */
export interface FixedIpRequest {
  readonly subnet_id?: string | undefined;
  readonly ip_address?: string | undefined;
}

/** The most addresses that a port may have. */
const MAX_FIXED_IPS = 5;

/** Gives a port the addresses asked for, numbered from `position`; throws in Neutron's words when one cannot be had. */
export async function claimFixedIps(
  tx: Tx,
  owner: AddressOwner,
  deviceOwner: string,
  subnets: readonly Subnet[],
  requests: readonly FixedIpRequest[],
  position = 0,
): Promise<void> {
  checkCount(requests.length + position);
  for (const [index, request] of requests.entries()) {
    const subnet = chooseSubnet(owner.network_id, subnets, request);
    if (request.ip_address === undefined) {
      const drawn = await drawAddress(tx, subnet, owner, position + index);
      if (drawn === null) throw addressesExhausted(owner.network_id);
      continue;
    }
    const ip_address = normaliseIp(request.ip_address);
    checkGivenAddress(subnet, ip_address, owner, deviceOwner);
    const row = { network_id: owner.network_id, subnet_id: subnet.id, port_id: owner.id };
    if (!(await claimAddress(tx, { ...row, ip_address, position: position + index }))) {
      throw addressInUse(ip_address, subnet.id);
    }
  }
}

/** Gives a port what one gets that asks for nothing: an address per IP version, and one in each SLAAC subnet. */
export async function claimAutomaticIps(
  tx: Tx,
  owner: AddressOwner,
  deviceOwner: string,
  subnets: readonly Subnet[],
): Promise<void> {
  const usable = subnets.filter((subnet) => serves(subnet, deviceOwner));
  if (subnets.length > 0 && usable.length === 0) throw addressesExhausted(owner.network_id);
  const managed = usable.filter((subnet) => !isAutoAddressed(subnet));
  let position = 0;
  for (const version of [4, 6]) {
    const candidates = managed.filter((subnet) => subnet.ip_version === version);
    if (candidates.length === 0) continue;
    let drawn: string | null = null;
    for (const subnet of candidates) {
      drawn = await drawAddress(tx, subnet, owner, position);
      if (drawn !== null) break;
    }
    if (drawn === null) throw addressesExhausted(owner.network_id);
    position++;
  }
  for (const subnet of usable.filter(isAutoAddressed)) {
    if ((await drawAddress(tx, subnet, owner, position)) === null) throw addressesExhausted(owner.network_id);
    position++;
  }
}

/** Whether a subnet may serve ports of this owner (`service_types` restricts it). */
function serves(subnet: Subnet, deviceOwner: string): boolean {
  const types = JSON.parse(subnet.service_types) as string[];
  return (
    types.length === 0 || types.some((type) => deviceOwner === type || deviceOwner.startsWith(`${type}:`))
  );
}

function chooseSubnet(networkId: string, subnets: readonly Subnet[], request: FixedIpRequest): Subnet {
  if (request.subnet_id !== undefined) {
    const subnet = subnets.find((s) => s.id === request.subnet_id);
    if (!subnet) {
      throw invalidInput(
        `Failed to create port on network ${networkId}, because fixed_ips included invalid subnet ${request.subnet_id}`,
      );
    }
    return subnet;
  }
  const ip = request.ip_address;
  if (ip === undefined) throw invalidInput('IP allocation requires subnet_id or ip_address');
  const subnet = ipVersion(ip) && subnets.find((s) => cidrContains(s.cidr, ip));
  if (!subnet) {
    throw badRequest(
      `IP address ${ip} is not a valid IP for any of the subnets on the specified network.`,
      'InvalidIpForNetwork',
    );
  }
  return subnet;
}

function checkGivenAddress(subnet: Subnet, ip: string, owner: AddressOwner, deviceOwner: string): void {
  const routerPort = deviceOwner.startsWith('network:router');
  if (!cidrContains(subnet.cidr, ip)) {
    throw badRequest(`IP address ${ip} is not a valid IP for the specified subnet.`, 'InvalidIpForSubnet');
  }
  if (isAutoAddressed(subnet) && !routerPort && ip !== eui64Address(subnet.cidr, owner.mac_address)) {
    throw invalidInput(
      `IPv6 address ${ip} can not be directly assigned to a port on subnet ${subnet.id} since the subnet is configured for automatic addresses`,
    );
  }
}

function checkCount(count: number): void {
  if (count > MAX_FIXED_IPS) throw invalidInput('Exceeded maximum amount of fixed ips per port');
}
