import { MaruError } from '../../errors.js';
import type { AuthMethod } from '../payload.js';
import { proveApplicationCredential } from './application-credential.js';
import type { Prove } from './method.js';
import { proveOauth1 } from './oauth1.js';
import { provePassword } from './password.js';
import { proveToken } from './token.js';
import { proveTotp } from './totp.js';

/** The methods by which POST /v3/auth/tokens takes proofs. */
const METHODS: Readonly<Partial<Record<AuthMethod, Prove>>> = {
  password: provePassword,
  totp: proveTotp,
  token: proveToken,
  application_credential: proveApplicationCredential,
  oauth1: proveOauth1,
};

export function isMethod(name: string): name is AuthMethod {
  return Object.hasOwn(METHODS, name);
}

/** How a method proves; 401 for one that there is not. */
export function methodOf(name: string): Prove {
  const prove = isMethod(name) ? METHODS[name] : undefined;
  if (prove) return prove;
  throw new MaruError('unauthorized', 'Attempted to authenticate with an unsupported method.');
}
