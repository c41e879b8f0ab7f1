import { randomBytes } from 'node:crypto';
import { eui64Address } from '../../net/mac.js';
import { type IpRange, nthAddress, rangeContains, rangeSize, withoutAddress } from '../../net/range.js';
import { claimAddress, takenAddresses } from '../../store/network/address.js';
import type { Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';

type Subnet = NetworkTables['subnet'];

/** The port that an address is drawn for. */
export interface AddressOwner {
  readonly id: string;
  readonly network_id: string;
  readonly mac_address: string;
}

/** How often a random address is tried before the free ones are worked out. */
const TRIES = 8;

/**
 * Takes a random free address of a subnet's pools for a port; null when there is none. Random, so that an address just
 * given back is not soon somebody else's, and parallel requests seldom meet; the unique index decides when they do.
 */
export async function drawAddress(
  tx: Tx,
  subnet: Subnet,
  owner: AddressOwner,
  position: number,
): Promise<string | null> {
  const row = { network_id: owner.network_id, subnet_id: subnet.id, port_id: owner.id, position };
  if (isAutoAddressed(subnet)) {
    const address = eui64Address(subnet.cidr, owner.mac_address);
    return (await claimAddress(tx, { ...row, ip_address: address })) ? address : null;
  }
  const pools = poolsOf(subnet);
  const size = pools.reduce((sum, pool) => sum + rangeSize(pool), 0n);
  if (size === 0n) return null;
  for (let i = 0; i < TRIES; i++) {
    const address = nthAddress(pools, randomBelow(size))!;
    if (await claimAddress(tx, { ...row, ip_address: address })) return address;
  }
  const taken = await takenAddresses(tx, owner.network_id);
  let free: IpRange[] = pools;
  for (const ip of taken) if (pools.some((pool) => rangeContains(pool, ip))) free = withoutAddress(free, ip);
  // others may take what was free a moment ago, so every free address is tried once at most
  for (let left = free.reduce((sum, pool) => sum + rangeSize(pool), 0n); left > 0n; left--) {
    const address = nthAddress(free, randomBelow(left))!;
    if (await claimAddress(tx, { ...row, ip_address: address })) return address;
    free = withoutAddress(free, address);
  }
  return null;
}

/** The allocation pools of a subnet. */
export function poolsOf(subnet: Pick<Subnet, 'allocation_pools'>): IpRange[] {
  return JSON.parse(subnet.allocation_pools) as IpRange[];
}

/** True when guests make their own addresses from the prefix (SLAAC, also with stateless DHCPv6). */
export function isAutoAddressed(subnet: Pick<Subnet, 'ipv6_address_mode' | 'ip_version'>): boolean {
  return (
    subnet.ip_version === 6 &&
    (subnet.ipv6_address_mode === 'slaac' || subnet.ipv6_address_mode === 'dhcpv6-stateless')
  );
}

/** A uniform random number below `limit`. */
function randomBelow(limit: bigint): bigint {
  // 64 bits more than needed make the remainder's bias negligible
  const bytes = Math.ceil(limit.toString(16).length / 2) + 8;
  return BigInt(`0x${randomBytes(bytes).toString('hex')}`) % limit;
}
