import { readFileSync } from 'node:fs';
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
  readonly https?: Pair & { readonly minVersion: 'TLSv1.2' };
} {
  const pair = readPair(files);
  return pair ? { https: { ...pair, minVersion: 'TLSv1.2' } } : {};
}

/** What follows the files of the public certificate. */
export interface CertificateFiles {
  /** Reads the files now, and tells also when nothing has changed or the same is still wrong. */
  readAgain(): void;
}

/**
 * Takes a renewed certificate into use once both files are right, whichever changed, as certbot and the like leave them. A pair that
 * cannot be used leaves the old one in use, and is tried again and again.
 */
export function followCertificate(
  fastify: FastifyInstance,
  files: TlsFiles,
  log: Logger,
  everyMs = LOOK_MS,
): CertificateFiles {
  const named = { certificate: files.tls_cert_file, key: files.tls_key_file };
  let used = readFiles(files);
  let complaint: string | null = null;
  const look = (asked: boolean): void => {
    if (used === null) return;
    try {
      const pair = readFiles(files)!;
      const changed = !pair.cert.equals(used.cert) || !pair.key.equals(used.key);
      if (!changed && complaint === null && !asked) return;
      checked(pair, files);
      (fastify.server as unknown as { setSecureContext(pair: object): void }).setSecureContext(pair);
      used = pair;
      complaint = null;
      log.info('the public certificate was read again', { ...named, changed });
    } catch (error) {
      const { message } = error as Error;
      if (message === complaint && !asked) return;
      complaint = message;
      const again = `both files are read again every ${everyMs / 1000} s, and on SIGHUP`;
      log.error(`the public certificate cannot be read again; the old one stays in use, and ${again}`, {
        ...named,
        error,
      });
    }
  };
  const timer = setInterval(() => look(false), everyMs);
  timer.unref();
  fastify.addHook('onClose', async () => clearInterval(timer));
  return { readAgain: () => look(true) };
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

function readPair(files: TlsFiles): Pair | null {
  const pair = readFiles(files);
  return pair && checked(pair, files);
}

function readFiles(files: TlsFiles): Pair | null {
  const { tls_cert_file, tls_key_file } = files;
  if (tls_cert_file === null || tls_key_file === null) return null;
  try {
    return { cert: readFileSync(tls_cert_file), key: readFileSync(tls_key_file) };
  } catch (error) {
    throw unusable(files, error);
  }
}

/** The pair, if the key is the certificate's. */
function checked(pair: Pair, files: TlsFiles): Pair {
  try {
    createSecureContext(pair);
    return pair;
  } catch (error) {
    throw unusable(files, error);
  }
}

function unusable({ tls_cert_file, tls_key_file }: TlsFiles, error: unknown): Error {
  return new Error(`certificate ${tls_cert_file} with key ${tls_key_file}: ${(error as Error).message}`);
}
