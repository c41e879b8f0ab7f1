import { Netmask } from 'netmask';
import { addressBits, bigIntToIp, type IpVersion, ipToBigInt, ipVersion, normaliseIp } from './ip.js';

/** A block of addresses. */
export interface ParsedCidr {
  readonly version: IpVersion;
  /** The address as given (canonical text), which may have host bits: `10.0.0.5` of `10.0.0.5/24`. */
  readonly address: string;
  readonly prefix: number;
  /** First and last address of the block, as numbers. */
  readonly first: bigint;
  readonly last: bigint;
}

/** Reads `address/prefix`; an address alone is a block of one. Throws when it is neither. */
export function parseCidr(text: string): ParsedCidr {
  const [addressText = '', prefixText, ...rest] = text.split('/');
  const version = ipVersion(addressText);
  const bits = version && addressBits(version);
  const prefix = prefixText === undefined ? bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : null;
  if (!version || !bits || prefix === null || prefix > bits || rest.length) {
    throw new Error(`'${text}' is not a CIDR such as 10.0.0.0/24 or 2001:db8::/64`);
  }
  const [first, last] = version === 4 ? bounds4(addressText, prefix) : bounds6(addressText, prefix);
  return { version, address: normaliseIp(addressText), prefix, first, last };
}

/** The same, or null when the text is no CIDR. */
export function tryParseCidr(text: string): ParsedCidr | null {
  try {
    return parseCidr(text);
  } catch {
    return null;
  }
}

/** The canonical text of a block, without host bits: `10.0.0.0/24` of `10.0.0.5/24`. */
export function normaliseCidr(text: string): string {
  const cidr = parseCidr(text);
  return `${bigIntToIp(cidr.first, cidr.version)}/${cidr.prefix}`;
}

/** The network address of a block. */
export function networkAddress(text: string): string {
  const cidr = parseCidr(text);
  return bigIntToIp(cidr.first, cidr.version);
}

/** Whether an address or a whole block lies inside a block; never across IP versions. */
export function cidrContains(outer: string, inner: string): boolean {
  const [a, b] = [parseCidr(outer), parseCidr(inner)];
  return a.version === b.version && a.first <= b.first && b.last <= a.last;
}

/** Whether two blocks share an address. */
export function cidrsOverlap(one: string, other: string): boolean {
  const [a, b] = [parseCidr(one), parseCidr(other)];
  return a.version === b.version && a.first <= b.last && b.first <= a.last;
}

/** The first address a host may have: after the network address, except in blocks of one or two addresses. */
export function firstHost(text: string): string {
  const cidr = parseCidr(text);
  const small = cidr.last - cidr.first < 2n;
  return bigIntToIp(small ? cidr.first : cidr.first + 1n, cidr.version);
}

/** The last address a host may have: before the broadcast address in IPv4, the last one in IPv6. */
export function lastHost(text: string): string {
  const cidr = parseCidr(text);
  const small = cidr.last - cidr.first < 2n;
  return bigIntToIp(small || cidr.version === 6 ? cidr.last : cidr.last - 1n, cidr.version);
}

/** The broadcast address; null in IPv6 and in blocks of one or two addresses, which have none. */
export function broadcast(text: string): string | null {
  const cidr = parseCidr(text);
  return cidr.version === 6 || cidr.prefix > 30 ? null : bigIntToIp(cidr.last, 4);
}

/** The dotted mask of an IPv4 block: `255.255.255.0`. */
export function dottedMask(text: string): string {
  const cidr = parseCidr(text);
  if (cidr.version !== 4) throw new Error(`'${text}' is not an IPv4 block`);
  return new Netmask(`0.0.0.0/${cidr.prefix}`).mask;
}

function bounds4(address: string, prefix: number): [bigint, bigint] {
  const block = new Netmask(`${address}/${prefix}`);
  const first = ipToBigInt(block.base);
  return [first, first + BigInt(block.size) - 1n];
}

function bounds6(address: string, prefix: number): [bigint, bigint] {
  const hostBits = BigInt(128 - prefix);
  const first = (ipToBigInt(address) >> hostBits) << hostBits;
  return [first, first + (1n << hostBits) - 1n];
}
