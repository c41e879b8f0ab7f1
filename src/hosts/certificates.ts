import 'reflect-metadata';
import { createHash, randomBytes, type webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import {
  keyPairOf,
  newSigningKey,
  privateKeyOf,
  publicKeyOf,
  SIGNING_ALGORITHM,
} from '../protocol/signing-keys.js';
import type { AuthorityRecord } from './authority-files.js';

const DAY_MS = 24 * 3600 * 1000;
const AUTHORITY_DAYS = 3650;

/** Of hosts' certificates; the controller's own are always of the usual length. */
export interface CertificateOptions {
  /** How long a certificate is good for. */
  readonly lifetimeMs: number;
  /** Clocks of hosts may be this far behind ours. */
  readonly skewMs: number;
}

export const CERTIFICATE_OPTIONS: CertificateOptions = {
  lifetimeMs: 30 * DAY_MS,
  skewMs: 10 * 60 * 1000,
};

export interface IssuedCertificate {
  readonly pem: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly expiresAt: string;
  /** Rises with every certificate of a host; part of the serial number. */
  readonly issue: number;
  /** Fingerprint of the authority that issued it. */
  readonly authority: string;
}

/** One certificate authority. Its key never leaves the controller's state directory. */
export class CertificateAuthority {
  readonly pem: string;
  readonly fingerprint: string;
  readonly record: AuthorityRecord;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #options: CertificateOptions;

  private constructor(record: AuthorityRecord, key: webcrypto.CryptoKey, options: CertificateOptions) {
    this.record = record;
    this.#certificate = new x509.X509Certificate(record.certificate);
    this.#key = key;
    this.#options = options;
    this.pem = `${this.#certificate.toString('pem').trim()}\n`;
    this.fingerprint = fingerprintOf(this.#certificate);
  }

  static async from(record: AuthorityRecord, options = CERTIFICATE_OPTIONS): Promise<CertificateAuthority> {
    return new CertificateAuthority(record, await privateKeyOf(record.key), options);
  }

  /** Makes a new one; nothing is kept yet. */
  static async make(options = CERTIFICATE_OPTIONS): Promise<CertificateAuthority> {
    const key = newSigningKey();
    const keys = await keyPairOf(key);
    const now = Date.now();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serial(now),
      // two of them can be trusted at the same time: names tell them apart in logs and let OpenSSL find the right one
      name: [{ CN: [`Maru certificate authority ${randomBytes(4).toString('hex')}`] }],
      notBefore: new Date(now - CERTIFICATE_OPTIONS.skewMs),
      notAfter: new Date(now + AUTHORITY_DAYS * DAY_MS),
      keys,
      signingAlgorithm: SIGNING_ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    const record = { certificate: certificate.toString('pem'), key, created_at: new Date(now).toISOString() };
    return await CertificateAuthority.from(record, options);
  }

  /**
   * Certifies the key of a signing request for both ends of TLS. Its issue number is higher than `after`, the last one that the
   * name was given. Throws when the request does not prove its key.
   */
  async issueFor(
    csrPem: string,
    name: string,
    alternatives: readonly string[],
    after = 0,
  ): Promise<IssuedCertificate> {
    const request = new x509.Pkcs10CertificateRequest(csrPem);
    if (!(await request.verify())) throw new Error('the signing request is not signed by its own key');
    return await this.#issue(await request.publicKey.export(), name, alternatives, after, this.#options);
  }

  /** A new key and certificate for the controller itself. */
  async issuePair(
    name: string,
    alternatives: readonly string[],
  ): Promise<IssuedCertificate & { readonly key: string }> {
    const key = newSigningKey();
    const issued = await this.#issue(await publicKeyOf(key), name, alternatives, 0, CERTIFICATE_OPTIONS);
    return { ...issued, key };
  }

  /** True when this authority has issued the certificate. */
  hasIssued(certificate: X509Certificate): boolean {
    return certificate.verify(new X509Certificate(this.pem).publicKey);
  }

  async #issue(
    subject: webcrypto.CryptoKey,
    name: string,
    alternatives: readonly string[],
    after: number,
    { lifetimeMs, skewMs }: CertificateOptions,
  ): Promise<IssuedCertificate> {
    const now = Date.now();
    const issue = Math.max(now, after + 1);
    const notAfter = new Date(now + lifetimeMs);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(issue),
      subject: [{ CN: [name] }],
      issuer: this.#certificate.subjectName,
      notBefore: new Date(now - skewMs),
      notAfter,
      publicKey: subject,
      signingKey: this.#key,
      signingAlgorithm: SIGNING_ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension(
          [...new Set([name, ...alternatives])].map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    return {
      pem: certificate.toString('pem'),
      fingerprint: fingerprintOf(certificate),
      expiresAt: notAfter.toISOString(),
      issue,
      authority: this.fingerprint,
    };
  }
}

/** The issue number inside a serial number of ours; 0 when it is not one. */
export function issueOf(serialNumber: string): number {
  const digits = /^0?1([0-9a-f]{12})[0-9a-f]{18}$/i.exec(serialNumber)?.[1];
  return digits === undefined ? 0 : Number.parseInt(digits, 16);
}

function fingerprintOf(certificate: x509.X509Certificate): string {
  return createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex');
}

/** 16 bytes: positive and never empty, as RFC 5280 wants it; the issue number, then chance. */
function serial(issue: number): string {
  return `01${issue.toString(16).padStart(12, '0')}${randomBytes(9).toString('hex')}`;
}
