import { dirname } from 'node:path';
import { type KeyPair, problemOf } from '../../src/api/server-certificate.js';
import {
  type FileReader,
  findRenewable,
  isOwnAuthority,
  isSignedBy,
} from '../../src/protocol/own-authority.js';
import { machine } from './actions.js';
import { TLS } from './layout.js';
import { configured, readSettings } from './settings.js';

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
  const { state_dir } = (await readSettings()).controller;
  const file = await configured('controller', 'tls_cert_file');
  const elsewhere = typeof file === 'string' && dirname(file) !== TLS && (await isOwnCertificate(file));
  const directory = elsewhere ? dirname(file) : `${state_dir.replace(/\/$/, '')}/tls`;
  return {
    directory,
    ca: `${directory}/ca.pem`,
    caKey: `${directory}/ca.key`,
    certificate: `${directory}/api.pem`,
    key: `${directory}/api.key`,
  };
}

/** True when the file is of an authority that was made here, whose key is beside it: the controller's to renew. */
export async function isOwnCertificate(file: string): Promise<boolean> {
  return (await findRenewable(file, MACHINE)) !== null;
}

const MACHINE: FileReader = {
  exists: async (path) => (await machine.stat(path)) !== null,
  read: (path) => machine.readFileIfExists(path),
};

/** True when an earlier version has made the certificate in /etc/maru/tls, and it is the one in use. */
export async function isFormerOwn(): Promise<boolean> {
  const file = await configured('controller', 'tls_cert_file');
  if (file !== FILES.certificate || (await formerAuthority()) === null) return false;
  return await isFormerCertificate();
}

/** The authority that an earlier version has made in /etc/maru/tls. Null: there is none, or it is an operator's. */
export async function formerAuthority(): Promise<KeyPair | null> {
  const pair = await readPair(FORMER.ca, FORMER.caKey);
  const fits = pair !== null && problemOf(pair, [], Number.NEGATIVE_INFINITY) === null;
  return fits && isOwnAuthority(pair.certificate) ? pair : null;
}

/**
 * What earlier versions have left in /etc/maru/tls, keys first, while its authority is still there to tell by. Not what an operator
 * has given, nor what the configuration names and will name: the step before this one has moved it by now, or would.
 */
export async function formerFiles(): Promise<readonly string[]> {
  const [certificate, key] = await Promise.all(
    ['tls_cert_file', 'tls_key_file'].map((name) => configured('controller', name)),
  );
  const authority = (await formerAuthority()) === null ? [] : [FORMER.caKey];
  const isNamed = certificate === FILES.certificate || key === FILES.key;
  if (!(await isFormerCertificate()) || (isNamed && !(await isFormerOwn()))) return authority;
  const pair = await readPair(FILES.certificate, FILES.key);
  const fits = pair !== null && problemOf(pair, [], Number.NEGATIVE_INFINITY) === null;
  // without the certificate nobody could tell whose key it is
  return [...(fits ? [FILES.key] : []), FILES.certificate, ...authority];
}

async function isFormerCertificate(): Promise<boolean> {
  const certificate = await machine.readFileIfExists(FILES.certificate);
  const authority = await machine.readFileIfExists(FORMER.ca);
  if (certificate === null || authority === null) return false;
  return isOwnAuthority(authority) && isSignedBy(certificate, authority);
}

/** Both, or null. */
export async function readPair(certificateFile: string, keyFile: string): Promise<KeyPair | null> {
  const certificate = await machine.readFileIfExists(certificateFile);
  const key = await machine.readFileIfExists(keyFile);
  return certificate !== null && key !== null ? { certificate, key } : null;
}
