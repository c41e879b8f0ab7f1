import { X509Certificate } from 'node:crypto';

/** What the common names of authorities begin with that installations make for their public API; six hexadecimal digits end them. */
export const API_AUTHORITY = 'Maru API of';

const SUBJECT = new RegExp(`^CN=${API_AUTHORITY} [^\\n]+ [0-9a-f]{6}$`);

/**
 * Whether a public certificate may be replaced by one that the authority beside it signs: it is signed by that authority, and the
 * authority is one that was made here. Both are PEM texts, null: there is no such file. One that is not there, or is no certificate,
 * may be made anew.
 */
export function isOursToRenew(certificate: string | null, authority: string | null): boolean {
  if (authority === null || !isOwnAuthority(authority)) return false;
  return certificate === null || parsed(certificate) === null || isSignedBy(certificate, authority);
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
