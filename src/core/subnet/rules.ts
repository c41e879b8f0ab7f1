import { cidrContains, cidrsOverlap, networkAddress, parseCidr } from '../../net/cidr.js';
import { ipVersion } from '../../net/ip.js';
import { defaultPools, type IpRange, rangeContains, rangeSize, rangesOverlap } from '../../net/range.js';
import { badRequest, conflict } from '../errors.js';
import { invalidInput } from '../network/problems.js';

/** What a subnet's attributes must satisfy, in Neutron's words. Everything here is pure. */

export type Ipv6Mode = 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless';

/** The limit of Neutron's own default configuration. */
const MAX_NAMESERVERS = 5;
const MAX_ROUTES = 20;

export function checkCidr(cidr: string, version: 4 | 6): void {
  const parsed = parseCidr(cidr);
  if (parsed.version !== version) {
    throw invalidInput(`cidr '${cidr}' does not match the ip_version '${version}'`);
  }
  if (parsed.prefix === 0) throw invalidInput('0 is not allowed as CIDR prefix length');
}

/** The gateway that a subnet gets: the given one, none, or the first address. */
export function chooseGateway(cidr: string, given: string | null | undefined): string | null {
  if (given !== undefined) return given;
  const parsed = parseCidr(cidr);
  // a block of one address has no room for a gateway besides its host
  if (parsed.first === parsed.last) return null;
  return defaultPools(cidr, null)[0]?.start ?? null;
}

export function checkGateway(cidr: string, gateway: string | null): void {
  if (gateway === null) return;
  const { version, prefix, first, last } = parseCidr(cidr);
  if (ipVersion(gateway) !== version) {
    throw invalidInput(`gateway_ip '${gateway}' does not match the ip_version '${version}'`);
  }
  const linkLocal = version === 6 && cidrContains('fe80::/10', gateway);
  const wrong = !cidrContains(cidr, gateway)
    ? !linkLocal
    : last - first > 1n && (gateway === networkAddress(cidr) || isBroadcast(cidr, gateway, version, prefix));
  if (wrong) throw invalidInput('Gateway is not valid on subnet');
}

/** Pools as given, or all addresses but the gateway; checked for sense, bounds and overlap. */
export function choosePools(
  cidr: string,
  gateway: string | null,
  given: readonly IpRange[] | undefined,
): readonly IpRange[] {
  if (given === undefined) return defaultPools(cidr, gateway);
  for (const pool of given) checkPool(cidr, pool);
  given.forEach((pool, i) => {
    const clash = given.slice(i + 1).find((other) => rangesOverlap(pool, other));
    if (clash) {
      throw conflict(
        `Found overlapping allocation pools: ${show(pool)} ${show(clash)} for subnet ${cidr}.`,
        'OverlappingAllocationPools',
      );
    }
  });
  checkGatewayOutsidePools(gateway, given);
  return given;
}

export function checkGatewayOutsidePools(gateway: string | null, pools: readonly IpRange[]): void {
  const pool = gateway === null ? undefined : pools.find((p) => rangeContains(p, gateway));
  if (pool) {
    throw conflict(
      `Gateway ip ${gateway} conflicts with allocation pool ${show(pool)}.`,
      'GatewayConflictWithAllocationPools',
    );
  }
}

export function checkIpv6Modes(
  cidr: string,
  version: 4 | 6,
  enableDhcp: boolean,
  ra: Ipv6Mode | null,
  address: Ipv6Mode | null,
): void {
  if (ra === null && address === null) return;
  if (version === 4) {
    throw badRequest(
      'ipv6_ra_mode and ipv6_address_mode are not valid when ip_version is 4',
      'HTTPBadRequest',
    );
  }
  if (!enableDhcp) {
    throw badRequest(
      'ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False',
      'HTTPBadRequest',
    );
  }
  if (ra !== null && address !== null && ra !== address) {
    throw invalidInput(
      `ipv6_ra_mode set to '${ra}' with ipv6_address_mode set to '${address}' is not valid. If both attributes are set, they must be the same value`,
    );
  }
  const mode = address ?? ra;
  if ((mode === 'slaac' || mode === 'dhcpv6-stateless') && parseCidr(cidr).prefix !== 64) {
    throw invalidInput(
      `Invalid CIDR ${cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`,
    );
  }
}

export function checkNameservers(servers: readonly string[]): void {
  if (servers.length > MAX_NAMESERVERS) {
    throw badRequest(
      `Unable to complete operation for subnet. The number of DNS nameservers exceeds the limit ${MAX_NAMESERVERS}.`,
      'DNSNameServersExhausted',
    );
  }
}

export function checkHostRoutes(
  routes: readonly { destination: string; nexthop: string }[],
  version: 4 | 6,
): void {
  if (routes.length > MAX_ROUTES) {
    throw badRequest(
      `Unable to complete operation for subnet. The number of host routes exceeds the limit ${MAX_ROUTES}.`,
      'HostRoutesExhausted',
    );
  }
  for (const route of routes) {
    if (parseCidr(route.destination).version !== version || ipVersion(route.nexthop) !== version) {
      throw invalidInput(
        `host route ${route.destination} via ${route.nexthop} does not match ip_version ${version}`,
      );
    }
  }
}

/** Tempest and other clients look for "overlaps with another subnet" to try another block. */
export function checkOverlap(networkId: string, cidr: string, others: readonly { cidr: string }[]): void {
  if (others.some((other) => cidrsOverlap(other.cidr, cidr))) {
    throw invalidInput(
      `Requested subnet with cidr: ${cidr} for network: ${networkId} overlaps with another subnet`,
    );
  }
}

function checkPool(cidr: string, pool: IpRange): void {
  const version = parseCidr(cidr).version;
  if (ipVersion(pool.start) !== version || ipVersion(pool.end) !== version || rangeSize(pool) <= 0n) {
    throw badRequest(`The allocation pool ${show(pool)} is not valid.`, 'InvalidAllocationPool');
  }
  if (!cidrContains(cidr, pool.start) || !cidrContains(cidr, pool.end)) {
    throw badRequest(
      `The allocation pool ${show(pool)} spans beyond the subnet cidr ${cidr}.`,
      'OutOfBoundsAllocationPool',
    );
  }
}

function isBroadcast(cidr: string, ip: string, version: 4 | 6, prefix: number): boolean {
  if (version === 6 || prefix > 30) return false;
  const { last } = parseCidr(cidr);
  return parseCidr(ip).first === last;
}

function show(pool: IpRange): string {
  return `${pool.start}-${pool.end}`;
}
