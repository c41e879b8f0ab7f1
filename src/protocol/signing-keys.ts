import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };

/** How all certificates and requests for them are signed. */
export const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' };

/** A new private key on the curve P-256, as PEM (PKCS #8). */
export function newSigningKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: ALGORITHM.namedCurve });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** Both keys of a private one (PEM), as the Web Crypto API and libraries on it want them. */
export async function keyPairOf(pem: string): Promise<webcrypto.CryptoKeyPair> {
  return { privateKey: await privateKeyOf(pem), publicKey: await publicKeyOf(pem) };
}

/** The private key (PEM) for signing. */
export async function privateKeyOf(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

/** The public key of a private or public one (PEM). */
export async function publicKeyOf(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return await webcrypto.subtle.importKey('spki', der, ALGORITHM, true, ['verify']);
}
