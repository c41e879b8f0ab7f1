import type { IncomingHttpHeaders } from 'node:http';
import { badRequest, MaruError } from '../../core/errors.js';
import type { Microversion } from './operation.js';

/** How a service negotiates microversions. */
export interface MicroversionRange {
  /** Service type in `OpenStack-API-Version: <type> <version>`. */
  readonly type: string;
  readonly min: string;
  readonly max: string;
  /** Older header that also carries the bare version, e.g. `x-openstack-nova-api-version`. */
  readonly legacyHeader?: string;
}

export function parseVersion(text: string): Microversion {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return { major, minor };
}

/** Negative when a is older than b. */
export function compareVersions(a: Microversion, b: Microversion): number {
  return a.major - b.major || a.minor - b.minor;
}

/** True when the version is at least `text`, e.g. `atLeast(request.version, '2.47')`. */
export function atLeast(version: Microversion, text: string): boolean {
  return compareVersions(version, parseVersion(text)) >= 0;
}

export function showVersion(version: Microversion): string {
  return `${version.major}.${version.minor}`;
}

/** The version a request asks for; the minimum when it asks for none. Throws 400 and 406 in Nova's words. */
export function negotiate(range: MicroversionRange, headers: IncomingHttpHeaders): Microversion {
  const wanted = requested(range, headers);
  if (wanted === undefined) return parseVersion(range.min);
  if (wanted === 'latest') return parseVersion(range.max);
  if (!/^[1-9]\d*\.(0|[1-9]\d*)$/.test(wanted)) {
    throw badRequest(
      `API Version String ${wanted} is of invalid format. Must be of format MajorNum.MinorNum.`,
    );
  }
  const version = parseVersion(wanted);
  if (
    compareVersions(version, parseVersion(range.min)) < 0 ||
    compareVersions(version, parseVersion(range.max)) > 0
  ) {
    throw new MaruError(
      'not-acceptable',
      `Version ${wanted} is not supported by the API. Minimum is ${range.min} and maximum is ${range.max}.`,
    );
  }
  return version;
}

function requested(range: MicroversionRange, headers: IncomingHttpHeaders): string | undefined {
  const header = headers['openstack-api-version'];
  const text = Array.isArray(header) ? header.join(',') : header;
  for (const entry of text?.split(',') ?? []) {
    const [type, version] = entry.trim().split(/\s+/);
    if (type === range.type && version) return version;
  }
  const legacy = range.legacyHeader && headers[range.legacyHeader];
  return typeof legacy === 'string' ? legacy : undefined;
}
