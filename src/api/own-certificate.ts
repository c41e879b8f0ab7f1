import { createPrivateKey, X509Certificate } from 'node:crypto';
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../protocol/log.js';
import {
  AUTHORITY_FILES,
  findRenewable,
  LOCAL_FILES,
  type RenewableCertificate,
} from '../protocol/own-authority.js';
import {
  issueServer,
  type KeyPair,
  namesOf,
  problemOf,
  RENEW_BEFORE_DAYS,
  SERVER_LIFETIME_MS,
} from './server-certificate.js';
import type { CertificateFiles, TlsFiles } from './tls.js';

const DAY_MS = 24 * 3600 * 1000;
const LOOK_MS = 3600 * 1000;

export interface RenewalOptions {
  /** How long a renewed certificate is good for. */
  readonly lifetimeMs: number;
  /** How often its end is looked at. */
  readonly everyMs: number;
}

/**
 * The public certificate of an installation that has an authority of its own for it: renewed here before it ends. Certificates that
 * are given are their owners' to renew.
 */
export class OwnCertificate {
  readonly #files: { readonly certificate: string; readonly key: string };
  readonly #names: readonly string[];
  readonly #log: Logger;
  readonly #options: RenewalOptions;

  private constructor(
    files: { readonly certificate: string; readonly key: string },
    names: readonly string[],
    log: Logger,
    options: RenewalOptions,
  ) {
    this.#files = files;
    this.#names = names;
    this.#log = log;
    this.#options = options;
  }

  /** Null where the API is plain HTTP, or its certificate a given one. `names`: whom it is for if it cannot be read any more. */
  static async of(
    files: TlsFiles,
    names: readonly string[],
    log: Logger,
    options: Partial<RenewalOptions> = {},
  ): Promise<OwnCertificate | null> {
    const { tls_cert_file, tls_key_file } = files;
    if (tls_cert_file === null || tls_key_file === null) return null;
    const all = { lifetimeMs: SERVER_LIFETIME_MS, everyMs: LOOK_MS, ...options };
    const own = new OwnCertificate({ certificate: tls_cert_file, key: tls_key_file }, names, log, all);
    return (await own.#found()) === null ? null : own;
  }

  /** Renews it if it ends soon, or does not fit its key; true: there is a new one. Never throws: what it could not do is logged. */
  async renewIfDue(): Promise<boolean> {
    const { certificate: file } = this.#files;
    try {
      return await this.#renew();
    } catch (error) {
      this.#log.error(
        `the public certificate ${file} cannot be renewed; it is tried again every ${this.#options.everyMs / 60_000} min. Once the cause is mended: systemctl restart maru-controller; if the sandbox is in the way: maru install controller`,
        { error },
      );
      return false;
    }
  }

  /** Looks at it from time to time as long as the API runs, and has it taken into use. Connections stay. */
  follow(fastify: FastifyInstance, inUse: CertificateFiles): void {
    let running = false;
    const timer = setInterval(async () => {
      if (running) return;
      running = true;
      if (await this.renewIfDue()) inUse.readAgain();
      running = false;
    }, this.#options.everyMs);
    timer.unref();
    fastify.addHook('onClose', async () => clearInterval(timer));
  }

  async #renew(): Promise<boolean> {
    // looked at each time: a given one may have taken its place
    const found = await this.#found();
    if (found === null) return false;
    const { certificate: before, authority: issuer } = found;
    const key = await LOCAL_FILES.read(this.#files.key);
    const why = this.#whyDue(issuer, before, key);
    if (why === null) return false;
    const authority = await readAuthority(found);
    // the same key again: so the new certificate fits whenever this is interrupted, and for other controllers on these files
    const usable = key !== null && isKey(key) ? { key } : {};
    const names = before !== null && isCertificate(before) ? namesOf(before) : this.#names;
    const { lifetimeMs } = this.#options;
    const made = await issueServer(authority, names, { lifetimeMs, ...usable });
    if (made.key !== key) await replace(this.#files.key, made.key, 0o600);
    await replace(this.#files.certificate, made.certificate, 0o644);
    const until = new Date(new X509Certificate(made.certificate).validTo).toISOString();
    this.#log.info('the public certificate was renewed', { file: this.#files.certificate, why, until });
    return true;
  }

  /** Null: it is not ours, or it cannot be told. */
  async #found(): Promise<RenewableCertificate | null> {
    return await findRenewable(this.#files.certificate).catch(() => null);
  }

  #whyDue(authority: string, before: string | null, key: string | null): string | null {
    if (before === null || key === null) return 'there is none';
    const unusable = isCertificate(before)
      ? problemOf({ certificate: before, key }, [], Number.NEGATIVE_INFINITY)
      : 'it cannot be read';
    if (unusable) return unusable;
    const [own, issuer] = [new X509Certificate(before), new X509Certificate(authority)];
    const { lifetimeMs } = this.#options;
    const to = Date.parse(own.validTo);
    if (to - Date.now() > Math.min(RENEW_BEFORE_DAYS * DAY_MS, lifetimeMs / 3)) return null;
    // where the authority itself is about to end, another one would last no longer
    const next = Math.min(Date.now() + lifetimeMs, Date.parse(issuer.validTo));
    return next - to > lifetimeMs / 100 ? `it ends on ${own.validTo}` : null;
  }
}

function isCertificate(pem: string): boolean {
  try {
    return namesOf(pem).length > 0;
  } catch {
    return false;
  }
}

function isKey(pem: string): boolean {
  // of another kind (RSA) it is none of ours, and a new one is made
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}

/** The authority beside a certificate, with its key. Throws when it cannot sign. */
async function readAuthority({ directory, authority: certificate }: RenewableCertificate): Promise<KeyPair> {
  const key = await readFile(join(directory, AUTHORITY_FILES.key), 'utf8');
  const problem = problemOf({ certificate, key }, []);
  if (problem) throw new Error(`its authority in ${directory} cannot be used: ${problem}`);
  return { certificate, key };
}

/** Whoever reads it sees the one before or this one, whole. */
async function replace(file: string, content: string, mode: number): Promise<void> {
  const temporary = `${file}.${process.pid}.new`;
  await unlink(temporary).catch(() => {});
  const handle = await open(temporary, 'wx', mode);
  try {
    // whatever the umask of the unit
    await handle.chmod(mode);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
