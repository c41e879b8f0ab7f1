import { X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { type KeyPair, problemOf } from '../../src/api/server-certificate.js';
import { machine } from './actions.js';
import { TLS } from './layout.js';
import { readSettings } from './settings.js';

/** What clients trust, and certificate and key as they were given. */
export const FILES = {
  ca: `${TLS}/ca.pem`,
  certificate: `${TLS}/api.pem`,
  key: `${TLS}/api.key`,
} as const;

/** Where earlier versions had the key of an authority made here: the controller could not renew with it. */
export const FORMER = { ca: FILES.ca, caKey: `${TLS}/ca.key` } as const;

/** An authority of this installation and what it signed: the controller's, so that it can renew it by itself. */
export interface OwnFiles {
  readonly directory: string;
  readonly ca: string;
  readonly caKey: string;
  readonly certificate: string;
  readonly key: string;
}

/** Where they are, or will be: in the state directory, unless the configuration names another place that has them. */
export async function ownFiles(): Promise<OwnFiles> {
  const { state_dir, tls_cert_file } = (await readSettings()).controller;
  const elsewhere =
    tls_cert_file !== null && dirname(tls_cert_file) !== TLS && (await isOwnCertificate(tls_cert_file));
  const directory = elsewhere ? dirname(tls_cert_file) : `${state_dir.replace(/\/$/, '')}/tls`;
  return {
    directory,
    ca: `${directory}/ca.pem`,
    caKey: `${directory}/ca.key`,
    certificate: `${directory}/api.pem`,
    key: `${directory}/api.key`,
  };
}

/** True when the file is beside the key of an authority that was made here. */
export async function isOwnCertificate(file: string): Promise<boolean> {
  return (await machine.stat(`${dirname(file)}/ca.key`)) !== null;
}

/** True when an earlier version has made the certificate in /etc/maru/tls, and it is the one in use. */
export async function isFormerOwn(): Promise<boolean> {
  const { tls_cert_file } = (await readSettings()).controller;
  const authority = await readPair(FORMER.ca, FORMER.caKey);
  const certificate = await machine.readFileIfExists(FILES.certificate);
  if (tls_cert_file !== FILES.certificate || authority === null || certificate === null) return false;
  if (problemOf(authority, [], Number.NEGATIVE_INFINITY) !== null) return false;
  return new X509Certificate(certificate).verify(new X509Certificate(authority.certificate).publicKey);
}

/** Both, or null. */
export async function readPair(certificateFile: string, keyFile: string): Promise<KeyPair | null> {
  const certificate = await machine.readFileIfExists(certificateFile);
  const key = await machine.readFileIfExists(keyFile);
  return certificate !== null && key !== null ? { certificate, key } : null;
}
