import { randomBytes } from 'node:crypto';
import { parseCidr } from './cidr.js';
import { bigIntToIp } from './ip.js';

/** A random MAC with OpenStack's usual prefix fa:16:3e. Unique only as far as chance goes: the database has the last word. */
export function randomMac(): string {
  return ['fa', '16', '3e', ...randomBytes(3).toString('hex').match(/../g)!].join(':');
}

/** Lower case with colons (also from dashes); throws if the text is no MAC address. */
export function normaliseMac(text: string): string {
  const mac = text.toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) throw new Error(`'${text}' is not a MAC address`);
  return mac;
}

/** The address that a host with this MAC gives itself in an IPv6 prefix (SLAAC, modified EUI-64). */
export function eui64Address(prefix: string, mac: string): string {
  const cidr = parseCidr(prefix);
  if (cidr.version !== 6 || cidr.prefix > 64) throw new Error(`'${prefix}' has no room for EUI-64 addresses`);
  return bigIntToIp(cidr.first | interfaceIdentifier(mac), 6);
}

/** The link-local IPv6 address of a host with this MAC. */
export function linkLocalAddress(mac: string): string {
  return eui64Address('fe80::/64', mac);
}

function interfaceIdentifier(mac: string): bigint {
  const bytes = normaliseMac(mac)
    .split(':')
    .map((hex) => Number.parseInt(hex, 16));
  // the universal/local bit is inverted and ff:fe put in the middle
  const identifier = [bytes[0]! ^ 0x02, bytes[1]!, bytes[2]!, 0xff, 0xfe, bytes[3]!, bytes[4]!, bytes[5]!];
  return identifier.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
