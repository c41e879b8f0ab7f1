import 'reflect-metadata';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  webcrypto,
} from 'node:crypto';
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const DAY_MS = 24 * 3600 * 1000;
/** Clocks of hosts may be this far behind ours. */
const SKEW_MS = 10 * 60 * 1000;

export const CERTIFICATE_DAYS = 30;
const AUTHORITY_DAYS = 3650;

export interface IssuedCertificate {
  readonly pem: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly expiresAt: string;
}

/** The installation's own certificate authority: its key never leaves the controller's state directory. */
export class CertificateAuthority {
  readonly pem: string;
  readonly fingerprint: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey) {
    this.#certificate = certificate;
    this.#key = key;
    this.pem = certificate.toString('pem');
    this.fingerprint = fingerprintOf(certificate);
  }

  /** Reads the authority kept in the directory, or makes one there (0600). */
  static async open(stateDir: string): Promise<CertificateAuthority> {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const keyFile = join(stateDir, 'ca.key');
    const certificateFile = join(stateDir, 'ca.pem');
    const found = await readIfExists(certificateFile);
    if (found !== null) {
      const key = await privateKey(await readFile(keyFile, 'utf8'));
      return new CertificateAuthority(new x509.X509Certificate(found), key);
    }
    const pem = newKeyPem();
    const keys = { privateKey: await privateKey(pem), publicKey: await publicKey(pem) };
    const now = Date.now();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serial(),
      name: [{ CN: ['Maru certificate authority'] }],
      notBefore: new Date(now - SKEW_MS),
      notAfter: new Date(now + AUTHORITY_DAYS * DAY_MS),
      keys,
      signingAlgorithm: SIGNING,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    // the certificate last: its presence says that the key is there
    await writeDurably(keyFile, pem, 0o600);
    await writeDurably(certificateFile, certificate.toString('pem'), 0o644);
    return new CertificateAuthority(certificate, keys.privateKey);
  }

  /** Certifies the key of a signing request for both ends of TLS. Throws when the request does not prove its key. */
  async issueFor(csrPem: string, name: string, alternatives: readonly string[]): Promise<IssuedCertificate> {
    const request = new x509.Pkcs10CertificateRequest(csrPem);
    if (!(await request.verify())) throw new Error('the signing request is not signed by its own key');
    return await this.#issue(await request.publicKey.export(), name, alternatives);
  }

  /** A new key and certificate for the controller itself. */
  async issuePair(
    name: string,
    alternatives: readonly string[],
  ): Promise<IssuedCertificate & { readonly key: string }> {
    const key = newKeyPem();
    return { ...(await this.#issue(await publicKey(key), name, alternatives)), key };
  }

  async #issue(
    subject: webcrypto.CryptoKey,
    name: string,
    alternatives: readonly string[],
  ): Promise<IssuedCertificate> {
    const now = Date.now();
    const notAfter = new Date(now + CERTIFICATE_DAYS * DAY_MS);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: [{ CN: [name] }],
      issuer: this.#certificate.subjectName,
      notBefore: new Date(now - SKEW_MS),
      notAfter,
      publicKey: subject,
      signingKey: this.#key,
      signingAlgorithm: SIGNING,
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
    };
  }
}

function fingerprintOf(certificate: x509.X509Certificate): string {
  return createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex');
}

function serial(): string {
  // positive and never empty, as RFC 5280 wants it
  return `01${randomBytes(15).toString('hex')}`;
}

function newKeyPem(): string {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

async function privateKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

async function publicKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return await webcrypto.subtle.importKey('spki', der, ALGORITHM, true, ['verify']);
}

async function readIfExists(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function writeDurably(file: string, content: string, mode: number): Promise<void> {
  const temporary = `${file}.tmp`;
  const handle = await open(temporary, 'w', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(temporary, mode);
  await rename(temporary, file);
}
