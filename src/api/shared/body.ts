import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { badRequest, MaruError } from '../../core/errors.js';

/** Largest JSON body in bytes; user data (64 KiB of base64) fits easily. */
const LIMIT = 1024 * 1024;

/**
 * Content-type parser of all services: JSON whatever the header says, since clients are careless with it; operations that
 * declare `stream` get the request untouched.
 */
export async function readBody(request: FastifyRequest, payload: IncomingMessage): Promise<unknown> {
  if (request.routeOptions.config.operation?.stream) return payload;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of payload as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT) throw new MaruError('too-large', 'Request is too large.');
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'), storable);
  } catch {
    throw badRequest('Malformed request body', 'MalformedRequestBody');
  }
}

/** Leaves out what would reach an object's prototype; refuses NUL, which PostgreSQL cannot store in text. */
function storable(key: string, value: unknown): unknown {
  if (key.includes('\0') || (typeof value === 'string' && value.includes('\0')))
    throw new Error('NUL in text');
  return key === '__proto__' ? undefined : value;
}
