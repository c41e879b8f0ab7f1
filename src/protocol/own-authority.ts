import { X509Certificate } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { absentIsNull } from './absent.js';

/** What the common names of authorities begin with that installations make for their public API; six hexadecimal digits end them. */
export const API_AUTHORITY = 'Maru API of';

const SUBJECT = new RegExp(`^CN=${API_AUTHORITY} [^\\n]+ [0-9a-f]{6}$`);

/** Beside the certificate, when it is of an authority of this installation; an operator's may have the same names. */
export const AUTHORITY_FILES = { certificate: 'ca.pem', key: 'ca.key' } as const;

/** How whoever asks looks at files. Both reject where it cannot be told, as without permission. */
export interface FileReader {
  exists(path: string): Promise<boolean>;
  /** Null: there is no such file. */
  read(path: string): Promise<string | null>;
}

/** The files of this machine, as this process may read them. */
export const LOCAL_FILES: FileReader = {
  exists: async (path) => (await absentIsNull(access(path).then(() => true))) ?? false,
  read: (path) => absentIsNull(readFile(path, 'utf8')),
};

/** A public certificate that may be replaced by one that the authority beside it signs. */
export interface RenewableCertificate {
  readonly directory: string;
  /** As it is (PEM, or damaged); null: there is none. */
  readonly certificate: string | null;
  /** PEM. */
  readonly authority: string;
}

/**
 * The public certificate `file` if it is ours to renew: its authority, with its key, lies beside it, is one that was made here, and
 * has signed it. One that is not there, or is no certificate, may be made anew. Null: it is a given one. Rejects as the reader does.
 */
export async function findRenewable(
  file: string,
  files: FileReader = LOCAL_FILES,
): Promise<RenewableCertificate | null> {
  const directory = dirname(file);
  if (!(await files.exists(join(directory, AUTHORITY_FILES.key)))) return null;
  const certificate = await files.read(file);
  const authority = await files.read(join(directory, AUTHORITY_FILES.certificate));
  if (authority === null || !isOwnAuthority(authority)) return null;
  const isOurs = certificate === null || parsed(certificate) === null || isSignedBy(certificate, authority);
  return isOurs ? { directory, certificate, authority } : null;
}

/** Whether a certificate (PEM) is of an authority that an installation has made for its public API. An operator's never is. */
export function isOwnAuthority(authority: string): boolean {
  const found = parsed(authority);
  return found?.ca === true && SUBJECT.test(found.subject) && isSignedBy(authority, authority);
}

/** Whether a text is a certificate (PEM) that says of itself to be of another issuer than authorities made here. */
export function isOfAnother(certificate: string): boolean {
  const found = parsed(certificate);
  return found !== null && !SUBJECT.test(found.issuer);
}

/** Whether a certificate names an authority as its issuer and has its signature; of a chain the first one. Both are PEM texts. */
export function isSignedBy(certificate: string, authority: string): boolean {
  const [signed, issuer] = [parsed(certificate), parsed(authority)];
  return signed !== null && issuer !== null && signed.checkIssued(issuer) && signed.verify(issuer.publicKey);
}

function parsed(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
