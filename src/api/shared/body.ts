import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { badRequest, MaruError } from '../../core/errors.js';

/** Largest JSON body in bytes; user data (64 KiB of base64) fits easily. */
const LIMIT = 1024 * 1024;

/** Milliseconds for a whole JSON body to arrive; whoever sends it drop by drop holds a connection no longer. */
const TIME = 60_000;

/**
 * Content-type parser of all services: JSON whatever the header says, since clients are careless with it; operations that
 * declare `stream` get the request untouched.
 */
export async function readBody(request: FastifyRequest, payload: IncomingMessage): Promise<unknown> {
  if (request.routeOptions.config.operation?.stream) return payload;
  return parseBody(await inTime(request, collect(payload)));
}

async function inTime<T>({ raw }: FastifyRequest, body: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `The request's body did not arrive within ${TIME / 1000} seconds.`;
      reject(new MaruError('bad-request', message, { status: 408 }));
      // time for the answer to go out; the rest of the body is not waited for
      setTimeout(() => raw.destroy(), 1000).unref();
    }, TIME);
  });
  try {
    return await Promise.race([body, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function collect(payload: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of payload as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT) throw new MaruError('too-large', 'Request is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString('utf8'), storable);
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
