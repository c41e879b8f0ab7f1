import { parseCidr } from './cidr.js';
import { bigIntToIp, ipToBigInt, ipVersion } from './ip.js';

/** Addresses from start to end, both included: an allocation pool. */
export interface IpRange {
  readonly start: string;
  readonly end: string;
}

/** Whether an address lies in a range. */
export function rangeContains(range: IpRange, ip: string): boolean {
  if (ipVersion(range.start) !== ipVersion(ip)) return false;
  const value = ipToBigInt(ip);
  return ipToBigInt(range.start) <= value && value <= ipToBigInt(range.end);
}

/** Whether two ranges share an address. */
export function rangesOverlap(a: IpRange, b: IpRange): boolean {
  if (ipVersion(a.start) !== ipVersion(b.start)) return false;
  return ipToBigInt(a.start) <= ipToBigInt(b.end) && ipToBigInt(b.start) <= ipToBigInt(a.end);
}

/** How many addresses a range has; 0 when it is reversed. */
export function rangeSize(range: IpRange): bigint {
  const size = ipToBigInt(range.end) - ipToBigInt(range.start) + 1n;
  return size > 0n ? size : 0n;
}

/** The nth address (from 0) of a list of ranges, or null after the end: with a random n, a random address. */
export function nthAddress(ranges: readonly IpRange[], n: bigint): string | null {
  let left = n;
  for (const range of ranges) {
    const size = rangeSize(range);
    if (left < size) return bigIntToIp(ipToBigInt(range.start) + left, ipVersion(range.start)!);
    left -= size;
  }
  return null;
}

/** The ranges without one address: the range that holds it is shortened or split. */
export function withoutAddress(ranges: readonly IpRange[], ip: string): IpRange[] {
  return ranges.flatMap((range) => {
    if (!rangeContains(range, ip)) return [range];
    const version = ipVersion(ip)!;
    const value = ipToBigInt(ip);
    const parts: IpRange[] = [];
    if (ipToBigInt(range.start) < value)
      parts.push({ start: range.start, end: bigIntToIp(value - 1n, version) });
    if (value < ipToBigInt(range.end)) parts.push({ start: bigIntToIp(value + 1n, version), end: range.end });
    return parts;
  });
}

/**
 * The pools of a subnet that names none, as Neutron makes them: all host addresses but the gateway; without the network
 * address, and without the broadcast address in IPv4. A block of two addresses has none, a block of one has itself.
 */
export function defaultPools(cidr: string, gatewayIp: string | null): IpRange[] {
  const { version, first, last } = parseCidr(cidr);
  if (first === last) return [{ start: bigIntToIp(first, version), end: bigIntToIp(last, version) }];
  const start = first + 1n;
  const end = version === 4 ? last - 1n : last;
  if (start >= end) return [];
  const all = [{ start: bigIntToIp(start, version), end: bigIntToIp(end, version) }];
  return gatewayIp === null ? all : withoutAddress(all, gatewayIp);
}
