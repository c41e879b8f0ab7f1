import { badRequest } from '../errors.js';

/** A time as tokens print it: whole seconds with six zeros, `2026-01-31T09:27:57.000000Z`. */
export function timeText(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}.000000Z`;
}

/** True for a time (ISO 8601) that has passed. */
export function hasExpired(time: string | null): boolean {
  return time !== null && Date.parse(time) <= Date.now();
}

/**
 * An expiry that a client gives, as stored: UTC with `Z`, with as many digits as were given, since clients compare it with
 * what they sent. A time without a zone is UTC. Throws 400 when it is no time or has passed.
 */
export function expiryOf(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(text);
  const time = Date.parse(zoned ? text : `${text}Z`);
  if (Number.isNaN(time)) throw badRequest(`'${text}' is not a time in ISO 8601.`);
  if (time <= Date.now()) throw badRequest('The expiry must not be in the past.');
  if (!zoned) return `${text}Z`;
  return text.endsWith('Z') ? text : new Date(time).toISOString();
}

/** A stored expiry as Keystone prints those of credentials and trusts: six digits; `zone` is appended. */
export function expiryText(stored: string | null, zone: '' | 'Z'): string | null {
  if (stored === null) return null;
  const [seconds, fraction = ''] = stored.replace(/Z$/, '').split('.') as [string, string?];
  return `${seconds}.${fraction.padEnd(6, '0')}${zone}`;
}
