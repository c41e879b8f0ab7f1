import 'reflect-metadata';
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { API_AUTHORITY } from '../protocol/own-authority.js';
import {
  keyPairOf,
  newSigningKey,
  privateKeyOf,
  publicKeyOf,
  SIGNING_ALGORITHM,
} from '../protocol/signing-keys.js';

const DAY_MS = 24 * 3600 * 1000;
const AUTHORITY_DAYS = 3650;
/** The longest that browsers and Apple's libraries take. */
const SERVER_DAYS = 825;
/** It is replaced when it lasts no longer than this, by the controller itself or a run of the installer. */
export const RENEW_BEFORE_DAYS = 60;
/** Of a server's certificate. */
export const SERVER_LIFETIME_MS = SERVER_DAYS * DAY_MS;

export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority for the public API alone; it lasts ten years. */
export async function makeAuthority(name: string, lifetimeMs = AUTHORITY_DAYS * DAY_MS): Promise<KeyPair> {
  const key = newSigningKey();
  const keys = await keyPairOf(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [`${API_AUTHORITY} ${name} ${randomBytes(3).toString('hex')}`] }],
    ...lasting(lifetimeMs),
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key };
}

/**
 * A server's certificate for these names and addresses, with a new key unless one is given (PEM). It never outlives its authority:
 * clients would refuse both.
 */
export async function issueServer(
  authority: KeyPair,
  names: readonly string[],
  { key = newSigningKey(), lifetimeMs = SERVER_LIFETIME_MS }: { key?: string; lifetimeMs?: number } = {},
): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const { notBefore, notAfter } = lasting(lifetimeMs);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [names[0] ?? 'maru'] }],
    issuer: issuer.subjectName,
    notBefore,
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    publicKey: await publicKeyOf(key),
    signingKey: await privateKeyOf(authority.key),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certificate: pem(certificate), key };
}

/** What is wrong with a server's certificate and key; null when they can be used. Both are PEM texts. */
export function problemOf({ certificate, key }: KeyPair, names: readonly string[], days = 0): string | null {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) return 'the key is not that of the certificate';
  } catch (error) {
    return `certificate or key cannot be read: ${(error as Error).message}`;
  }
  if (Date.parse(parsed.validTo) < Date.now() + days * DAY_MS) return `it ends on ${parsed.validTo}`;
  const missing = names.filter((name) => !(isIP(name) ? parsed.checkIP(name) : parsed.checkHost(name)));
  return missing.length > 0 ? `it is not valid for ${missing.join(', ')}` : null;
}

/** The names and addresses that a certificate (PEM) is for. */
export function namesOf(certificate: string): string[] {
  const names = new x509.X509Certificate(certificate).getExtension(x509.SubjectAlternativeNameExtension);
  return (names?.names.items ?? []).map(({ value }) => value);
}

function lasting(lifetimeMs: number) {
  // clients' clocks may be behind
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + lifetimeMs) };
}

const serial = () => `01${randomBytes(14).toString('hex')}`;
const pem = (certificate: x509.X509Certificate) => `${certificate.toString('pem').trim()}\n`;
