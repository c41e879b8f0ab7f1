import { ipToBigInt, ipVersion } from '../../net/ip.js';

/** Whose address it is, as far as can be told: of IPv6 the /64, of which a sender has all. */
export function networkOf(address: string | null): string {
  if (address === null || ipVersion(address) !== 6) return address ?? 'nowhere';
  const value = ipToBigInt(address);
  // ::ffff:0:0/96 holds IPv4
  return value >> 32n === 0xffffn ? address : `${(value >> 64n).toString(16)}/64`;
}
