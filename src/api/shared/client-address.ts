import type { IncomingMessage } from 'node:http';
import { cidrContains } from '../../net/cidr.js';
import { ipToBigInt, ipVersion, normaliseIp } from '../../net/ip.js';

/**
 * Gives the function that tells where a request comes from: the nearest address that is none of the trusted proxies' (addresses and
 * CIDRs). What `X-Forwarded-For` or `Forwarded` says counts only as far as it was written by one of them; anybody else could write it.
 * With both headers, which tell different addresses, it is the proxy's own: which of them it wrote is not known.
 */
export function clientAddressOf(trustedProxies: readonly string[]): (request: IncomingMessage) => string {
  const isTrusted = (address: string) =>
    ipVersion(address) !== null && trustedProxies.some((one) => cidrContains(one, address));
  return ({ socket, headers }) => {
    const peer = plain(socket.remoteAddress ?? '');
    if (trustedProxies.length === 0 || !isTrusted(peer)) return peer;
    const ways = [xForwardedFor(headers['x-forwarded-for']), forwardedFor(headers.forwarded)];
    const clients = ways.filter((way) => way.length > 0).map((way) => nearest(peer, way, isTrusted));
    return new Set(clients).size === 1 ? clients[0]! : peer;
  };
}

/** The last of the way that its proxies vouch for; `way`: farthest first. */
function nearest(peer: string, way: readonly string[], isTrusted: (address: string) => boolean): string {
  let address = peer;
  for (const hop of [...way].reverse()) {
    const before = addressOf(hop);
    // `unknown`, a made-up name, or no address at all
    if (before === null) return address;
    address = before;
    if (!isTrusted(address)) return address;
  }
  return address;
}

function xForwardedFor(header: string | string[] | undefined): string[] {
  const text = [header ?? ''].flat().join(',');
  return text.trim() === '' ? [] : text.split(',');
}

/**
 * The `for` of every proxy in `Forwarded` (RFC 7239); '' of one that names none. A quote that the client left open would hide where the
 * proxy's own part begins: then nobody is named at all, and an element with quotes in the midst of a value names none.
 */
function forwardedFor(header: string | undefined): string[] {
  if (header === undefined || header.trim() === '') return [];
  const elements = split(header, ',');
  if (elements === null) return [''];
  return elements.map((element) => {
    const pairs = (split(element, ';') ?? []).map((pair) => pair.trim());
    if (!pairs.every(isWhole)) return '';
    const values = pairs.map((pair) => /^for\s*=(.*)$/i.exec(pair)?.[1]?.trim());
    return values.find((value) => value !== undefined) ?? '';
  });
}

/** True for a pair whose value is in quotes as a whole or has none. */
function isWhole(pair: string): boolean {
  const value = pair.slice(pair.indexOf('=') + 1).trim();
  return !value.includes('"') || /^"(?:[^"\\]|\\.)*"$/.test(value);
}

/** Parts between separators that are in no quotes; null when a quote is left open. */
function split(text: string, separator: string): string[] | null {
  const parts = [''];
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]!;
    if (quoted && sign === '\\') parts[parts.length - 1] += sign + (text[++at] ?? '');
    else if (sign === separator && !quoted) parts.push('');
    else {
      if (sign === '"') quoted = !quoted;
      parts[parts.length - 1] += sign;
    }
  }
  return quoted ? null : parts;
}

/** The address of one hop: alone, with a port, in quotes, IPv6 in brackets; null when it is none. */
function addressOf(hop: string): string | null {
  const text = hop.trim().replace(/^"(.*)"$/, '$1');
  const [, bracketed] = /^\[([^\]]*)\](?::\w+)?$/.exec(text) ?? [];
  const [, dotted] = /^([\d.]+):\w+$/.exec(text) ?? [];
  const address = plain(bracketed ?? dotted ?? text);
  return ipVersion(address) === null ? null : address;
}

/** Canonical text: without zone, and IPv4 as such where it is mapped into IPv6. */
function plain(text: string): string {
  const address = text.replace(/%.*$/, '');
  if (ipVersion(address) !== 6) return address;
  const value = ipToBigInt(address);
  if (value >> 32n !== 0xffffn) return normaliseIp(address);
  return [24n, 16n, 8n, 0n].map((bits) => (value >> bits) & 0xffn).join('.');
}
