import ipaddr from 'ipaddr.js';

export type IpVersion = 4 | 6;

const DOTTED = /^\d{1,3}(\.\d{1,3}){3}$/;

/** 4, 6, or null for text that is no address. Short and octal IPv4 forms (`10.1`, `010.0.0.1`) are no addresses. */
export function ipVersion(text: string): IpVersion | null {
  // the first looks are cheap, the library's answer to what is no address is a thrown error
  if (DOTTED.test(text)) return ipaddr.IPv4.isValidFourPartDecimal(text) ? 4 : null;
  // a zone (fe80::1%eth0) names an interface of the machine that reads it, so it means nothing to us
  return text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text) ? 6 : null;
}

/** The canonical text of an address (RFC 5952 for IPv6: lower case, longest run of zeros shortened). Throws if it is none. */
export function normaliseIp(text: string): string {
  switch (ipVersion(text)) {
    case 4:
      return text;
    case 6:
      return ipaddr.IPv6.parse(text).toString();
    default:
      throw new Error(`'${text}' is not an IP address`);
  }
}

/** An address as a number; throws if the text is no address. */
export function ipToBigInt(text: string): bigint {
  if (ipVersion(text) === null) throw new Error(`'${text}' is not an IP address`);
  let value = 0n;
  for (const byte of ipaddr.parse(text).toByteArray()) value = (value << 8n) | BigInt(byte);
  return value;
}

/** The canonical text of a number; throws when it is outside the address space. */
export function bigIntToIp(value: bigint, version: IpVersion): string {
  const bits = addressBits(version);
  if (value < 0n || value >> BigInt(bits))
    throw new Error(`${value} is outside the IPv${version} address space`);
  const bytes: number[] = [];
  for (let shift = bits - 8; shift >= 0; shift -= 8) bytes.push(Number((value >> BigInt(shift)) & 0xffn));
  return ipaddr.fromByteArray(bytes).toString();
}

/** Bits of an address: 32 or 128. */
export function addressBits(version: IpVersion): 32 | 128 {
  return version === 4 ? 32 : 128;
}

/** Order of two addresses of any version: IPv4 first, then by value. */
export function compareIps(a: string, b: string): number {
  const [versionA, versionB] = [ipVersion(a), ipVersion(b)];
  if (versionA !== versionB) return versionA === 4 ? -1 : 1;
  const [x, y] = [ipToBigInt(a), ipToBigInt(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
