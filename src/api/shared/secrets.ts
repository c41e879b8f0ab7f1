import type { FastifyRequest } from 'fastify';
import { SECRET_NAME } from '../../core/audit/detail.js';
import { MASK } from '../../protocol/config/secrets.js';

/** Shorter ones are not looked for: they are in many words. */
const SHORTEST = 4;
const DEEPEST = 20;

/** A text that is to be logged or recorded about a request, without the secrets that came with it, as whatever may quote them. */
export function withoutSecretsOf(request: FastifyRequest, text: string): string {
  let clean = text;
  for (const secret of secretsOf(request)) {
    if (clean.includes(secret)) clean = clean.replaceAll(secret, MASK);
  }
  return clean;
}

/** An error like the given one, as it may be logged. */
export function errorWithoutSecrets(request: FastifyRequest, error: unknown): unknown {
  if (!(error instanceof Error)) return withoutSecretsOf(request, String(error));
  const clean = new Error(withoutSecretsOf(request, error.message));
  clean.name = error.name;
  clean.stack = withoutSecretsOf(request, error.stack ?? '');
  return clean;
}

/** Values of headers, query and body that are secret by their names, the longest first. */
function secretsOf({ headers, query, body }: FastifyRequest): string[] {
  const found = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    if (SECRET_NAME.test(name)) add(found, String(value));
    if (name === 'authorization') for (const part of partsOf(String(value))) add(found, part);
  }
  collect(found, query, false, 0);
  if (typeof body === 'object' && body !== null && !('pipe' in body)) collect(found, body, false, 0);
  return [...found].sort((a, b) => b.length - a.length);
}

/** What an Authorization header holds: the password of Basic, the token of Bearer, the values of OAuth. */
function partsOf(header: string): string[] {
  const [scheme = '', rest = ''] = header.split(/\s+(.*)/s);
  if (/^basic$/i.test(scheme)) {
    return [
      rest,
      Buffer.from(rest, 'base64')
        .toString('utf8')
        .replace(/^[^:]*:/, ''),
    ];
  }
  return [rest, ...[...rest.matchAll(/"([^"]*)"/g)].map(([, value]) => value!)];
}

function collect(found: Set<string>, value: unknown, secret: boolean, depth: number): void {
  if (typeof value === 'string' || typeof value === 'number') {
    if (secret) add(found, String(value));
  } else if (typeof value === 'object' && value !== null && depth < DEEPEST) {
    for (const [name, inner] of Object.entries(value)) {
      const here = Array.isArray(value)
        ? secret
        : SECRET_NAME.test(name) || (secret && /^(id|contents)$/.test(name));
      collect(found, inner, here, depth + 1);
    }
  }
}

function add(found: Set<string>, value: string): void {
  if (value.length < SHORTEST) return;
  found.add(value);
  // as messages quote it
  const quoted = JSON.stringify(value).slice(1, -1);
  if (quoted !== value) found.add(quoted);
}
