import { createHmac } from 'node:crypto';
import { badRequest } from '../errors.js';

/** Parameters of OAuth, decoded; a name may come more than once. */
export type OauthParameters = readonly (readonly [name: string, value: string])[];

/**
 * What an `Authorization: OAuth …` header says (RFC 5849, 3.5.1), without its realm. Throws 400 when there is none, or it
 * cannot be read.
 */
export function parseAuthorization(header: string | undefined): OauthParameters {
  const scheme = /^OAuth\s+/i.exec(header ?? '');
  if (!header || !scheme) throw badRequest('Cannot retrieve Authorization headers');
  const parameters: [string, string][] = [];
  for (const part of header.slice(scheme[0].length).split(',')) {
    const match = /^\s*([^=\s]+)="([^"]*)"\s*$/.exec(part);
    if (!match) throw badRequest('The Authorization header cannot be read.');
    const [name, value] = [decode(match[1]!), decode(match[2]!)];
    if (name !== 'realm') parameters.push([name, value]);
  }
  return parameters;
}

/** The value of a parameter; undefined when it is missing. Throws 400 when it comes twice. */
export function parameterOf(parameters: OauthParameters, name: string): string | undefined {
  const found = parameters.filter(([key]) => key === name);
  if (found.length > 1) throw badRequest(`${name} is given more than once.`);
  return found[0]?.[1] || undefined;
}

/** The HMAC-SHA1 signature of a request (RFC 5849, 3.4.2), in base64. */
export function hmacSha1(base: string, consumerSecret: string, tokenSecret: string): string {
  return createHmac('sha1', `${encode(consumerSecret)}&${encode(tokenSecret)}`)
    .update(base)
    .digest('base64');
}

/**
 * What is signed (RFC 5849, 3.4.1): the method, the URL without its query, and the parameters of query and header in order.
 */
export function signatureBase(method: string, url: string, parameters: OauthParameters): string {
  const parsed = new URL(url);
  const all = [...parsed.searchParams, ...parameters.filter(([name]) => name !== 'oauth_signature')];
  const normal = all
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  // URL leaves out default ports and writes scheme and host in lower case, as the standard wants
  const bare = `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
  return [method.toUpperCase(), bare, normal].map(encode).join('&');
}

/** Percent-encoding of RFC 3986 as OAuth uses it. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // refused below
  }
  throw badRequest('The Authorization header cannot be read.');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
