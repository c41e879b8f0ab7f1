import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../protocol/log.js';

/** Files of the public API's certificate and key (PEM); both or neither. */
export interface TlsFiles {
  readonly tls_cert_file: string | null;
  readonly tls_key_file: string | null;
}

const LOOK_MS = 60_000;

/** What Fastify takes to speak HTTPS; nothing where the API is plain HTTP. Throws when the files cannot be used. */
export function tlsOptions(files: TlsFiles): {
  readonly https?: { cert: Buffer; key: Buffer; minVersion: 'TLSv1.2' };
} {
  const pair = readPair(files);
  return pair ? { https: { ...pair, minVersion: 'TLSv1.2' } } : {};
}

/** Takes a renewed certificate into use when its file changes, as certbot and the like leave it; a bad one leaves the old in use. */
export function followCertificate(
  fastify: FastifyInstance,
  files: TlsFiles,
  log: Logger,
  everyMs = LOOK_MS,
): void {
  const file = files.tls_cert_file;
  if (file === null) return;
  watchFile(file, { interval: everyMs, persistent: false }, () => {
    try {
      const pair = readPair(files);
      if (!pair) return;
      (fastify.server as unknown as { setSecureContext(pair: object): void }).setSecureContext(pair);
      log.info('the public certificate was read again', { file });
    } catch (error) {
      log.error('the public certificate has changed and cannot be used; the old one stays in use', {
        file,
        error,
      });
    }
  });
  fastify.addHook('onClose', async () => unwatchFile(file));
}

function readPair({ tls_cert_file, tls_key_file }: TlsFiles): { cert: Buffer; key: Buffer } | null {
  if (tls_cert_file === null || tls_key_file === null) return null;
  try {
    const pair = { cert: readFileSync(tls_cert_file), key: readFileSync(tls_key_file) };
    createSecureContext(pair);
    return pair;
  } catch (error) {
    throw new Error(`certificate ${tls_cert_file} with key ${tls_key_file}: ${(error as Error).message}`);
  }
}
