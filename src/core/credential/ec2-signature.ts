import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { MaruError } from '../errors.js';

/** A request that was signed with an EC2 key pair, as the service that got it describes it. */
export interface SignedRequest {
  readonly access: string;
  readonly signature?: string;
  readonly verb?: string;
  readonly host?: string;
  readonly path?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, unknown>>;
  /** SHA-256 of the request's body in hexadecimal digits; version 4 signs it. */
  readonly body_hash?: string;
}

/**
 * Checks the signature of a request (AWS versions 0, 1, 2 and 4). Some clients leave the port out of the host that they
 * sign, so that is tried too. Throws 401.
 */
export function checkEc2Signature(secret: string, request: SignedRequest): void {
  const { signature, host } = request;
  if (typeof signature !== 'string' || signature === '') throw refused('EC2 signature not supplied.');
  if (secret === '') throw refused('Invalid EC2 signature.');
  if (sameText(signature, ec2Signature(secret, request))) return;
  const bare = host?.replace(/:\d+$/, '');
  if (bare !== host && sameText(signature, ec2Signature(secret, { ...request, host: bare }))) return;
  throw refused('Invalid EC2 signature.');
}

/** The signature that a request should have. Throws 401 when it names no version that there is. */
export function ec2Signature(secret: string, request: SignedRequest): string {
  const params = request.params ?? {};
  const version = params.SignatureVersion;
  if (version === '0') {
    return hmac('sha1', secret, `${text(params.Action)}${text(params.Timestamp)}`).toString('base64');
  }
  if (version === '1') {
    const names = Object.keys(params).sort((a, b) => compare(a.toLowerCase(), b.toLowerCase()));
    const signed = names.map((name) => name + text(params[name])).join('');
    return hmac('sha1', secret, signed).toString('base64');
  }
  if (version === '2') {
    const query = canonicalQuery({ ...params, SignatureMethod: 'HmacSHA256' });
    const signed = [text(request.verb), text(request.host), text(request.path), query].join('\n');
    return hmac('sha256', secret, signed).toString('base64');
  }
  if (isVersion4(request)) return version4(secret, request);
  throw refused('Unknown signature version.');
}

/** When the request was signed: its timestamp as it is written; undefined when it has none. */
export function signedAt({ params, headers }: SignedRequest): string | undefined {
  const found = params?.Timestamp ?? header(headers, 'x-amz-date') ?? params?.['X-Amz-Date'];
  return found === undefined || found === null || found === '' ? undefined : String(found);
}

/** Compares two secrets in a time that does not depend on where they differ. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [a, b].map((value) => createHash('sha256').update(value).digest());
  return timingSafeEqual(left!, right!);
}

/** The key that version 4 derives from a secret for a date, region and service. */
export function version4Key(secret: string, date: string, region: string, service: string): Buffer {
  const steps = [date, region, service, 'aws4_request'];
  return steps.reduce<Buffer>((key, step) => hmac('sha256', key, step), Buffer.from(`AWS4${secret}`, 'utf8'));
}

function isVersion4({ params, headers }: SignedRequest): boolean {
  const authorization = header(headers, 'authorization');
  if (authorization !== undefined) return authorization.startsWith('AWS4-HMAC-SHA256');
  return params?.['X-Amz-Algorithm'] === 'AWS4-HMAC-SHA256';
}

function version4(secret: string, request: SignedRequest): string {
  const { params = {}, headers = {} } = request;
  const verb = text(request.verb).toUpperCase();
  const authorization = header(headers, 'authorization');
  const part = (name: string) =>
    authorization === undefined
      ? text(params[`X-Amz-${name}`])
      : (authorization.split(`${name}=`)[1] ?? '').split(',')[0]!.trim();
  const [, date = '', region = '', service = ''] = part('Credential').split('/');
  const time = header(headers, 'x-amz-date') ?? text(params['X-Amz-Date']);
  if (date === '' || !time.startsWith(date)) throw refused('Invalid EC2 signature.');
  const signedHeaders = part('SignedHeaders');
  const scope = part('Credential').split('/').slice(1).join('/');
  // POST requests have their parameters in the body, which the hash covers
  const query = verb === 'POST' ? '' : canonicalQuery(withoutSignature(params));
  const canonical = [
    verb,
    text(request.path),
    query,
    canonicalHeaders(headers, signedHeaders),
    signedHeaders,
    text(request.body_hash),
  ].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const signed = ['AWS4-HMAC-SHA256', time, scope, hash].join('\n');
  return hmac('sha256', version4Key(secret, date, region, service), signed).toString('hex');
}

/** The signature itself is never signed; services differ in whether they hand it on among the parameters. */
function withoutSignature(params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { 'X-Amz-Signature': _, ...rest } = params;
  return rest;
}

function canonicalHeaders(headers: Readonly<Record<string, unknown>>, names: string): string {
  const lower = new Map(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase().trim(), text(value).trim()]),
  );
  // Boto before 2.9.3 signed the host without its port
  const bare = /^Boto\/2\.[0-9]\.[0-2]/.test(lower.get('user-agent') ?? '');
  const lines = names
    .split(';')
    .filter((name) => lower.has(name))
    .map((name) => {
      const value = lower.get(name)!;
      return `${name}:${name === 'host' && bare ? value.split(':')[0] : value}`;
    });
  return `${lines.join('\n')}\n`;
}

function canonicalQuery(params: Readonly<Record<string, unknown>>): string {
  return Object.keys(params)
    .sort(compare)
    .map((name) => `${quote(name)}=${quote(text(params[name]))}`)
    .join('&');
}

function header(headers: SignedRequest['headers'], name: string): string | undefined {
  const found = Object.entries(headers ?? {}).find(([key]) => key.toLowerCase() === name);
  return found === undefined ? undefined : text(found[1]);
}

function quote(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : String(value);
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function hmac(algorithm: 'sha1' | 'sha256', key: string | Buffer, value: string): Buffer {
  return createHmac(algorithm, key).update(value, 'utf8').digest();
}

function refused(message: string): MaruError {
  return new MaruError('unauthorized', message);
}
