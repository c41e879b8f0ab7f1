import { createHmac } from 'node:crypto';
import { MaruError } from '../errors.js';
import { sameText, version4Key } from './ec2-signature.js';

const SERVICES = ['s3', 'iam', 'sts'];

/**
 * Checks a signature over the text that an S3 service was given to sign (base64): of version 4, or HMAC-SHA1 as before it.
 * Throws 401.
 */
export function checkS3Signature(secret: string, token: unknown, signature: unknown): void {
  if (typeof token !== 'string' || typeof signature !== 'string' || secret === '') throw refused();
  const signed = Buffer.from(token, 'base64');
  const expected = signed.subarray(0, 4).equals(Buffer.from('AWS4'))
    ? version4(secret, signed)
    : createHmac('sha1', secret).update(signed).digest('base64');
  if (!sameText(signature, expected)) throw refused();
}

function version4(secret: string, signed: Buffer): string {
  const lines = signed.toString('utf8').split('\n');
  const [date, region, service, end] = lines[2]?.split('/') ?? [];
  if (lines.length !== 4 || lines[0] !== 'AWS4-HMAC-SHA256' || end !== 'aws4_request') throw refused();
  if (lines[2]!.split('/').length !== 4 || !SERVICES.includes(service!)) throw refused();
  return createHmac('sha256', version4Key(secret, date!, region!, service!))
    .update(signed)
    .digest('hex');
}

function refused(): MaruError {
  return new MaruError('unauthorized', 'Credential signature mismatch');
}
