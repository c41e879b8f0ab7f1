import { generateKeyPair, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import sshpk from 'sshpk';
import { badRequest } from '../errors.js';

export type KeyType = 'ssh' | 'x509';

export interface PublicKey {
  readonly public_key: string;
  readonly fingerprint: string;
}

const generate = promisify(generateKeyPair);

/** Checks a public key and works out its fingerprint; 400 when it is not one. */
export function parsePublicKey(type: KeyType, text: string): PublicKey {
  try {
    const fingerprint = type === 'ssh' ? sshFingerprint(text) : x509Fingerprint(text);
    return { public_key: text, fingerprint };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw badRequest('Keypair data is invalid: failed to generate fingerprint');
  }
}

/** A new RSA key; the private half goes to the caller only. */
export async function generateSshKey(): Promise<PublicKey & { readonly private_key: string }> {
  const { publicKey, privateKey } = await generate('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const key = sshpk.parseKey(publicKey, 'pem');
  key.comment = 'Generated-by-Nova';
  const public_key = key.toString('ssh');
  return { public_key, fingerprint: sshFingerprint(public_key), private_key: privateKey };
}

/** MD5 in pairs of hex digits, as clients of this API expect. */
function sshFingerprint(text: string): string {
  const line = text.trim();
  if (line.split('\n').length !== 1) throw new Error('an OpenSSH public key is one line');
  return sshpk.parseKey(line, 'ssh').fingerprint('md5').toString('hex').replace(/^MD5:/i, '');
}

function x509Fingerprint(text: string): string {
  return new X509Certificate(text).fingerprint.toLowerCase();
}
