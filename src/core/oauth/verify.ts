import { createHash } from 'node:crypto';
import { useNonce } from '../../store/identity/oauth.js';
import type { App } from '../app.js';
import { sameText } from '../credential/ec2-signature.js';
import { badRequest, MaruError } from '../errors.js';
import {
  hmacSha1,
  type OauthParameters,
  parameterOf,
  parseAuthorization,
  signatureBase,
} from './signature.js';

/** How far the clock of who signs may be off, and how long a nonce is remembered, in seconds. */
const WINDOW = 600;

/** A request as it was signed. */
export interface OauthRequest {
  readonly method: string;
  /** The URLs under which the client may have reached it: the public one, and that of its Host header. */
  readonly urls: readonly string[];
  readonly authorization: string | undefined;
}

/** What a request says before its signature has been looked at. */
export interface OauthClaims {
  readonly parameters: OauthParameters;
  readonly consumerId: string;
  readonly token: string | undefined;
  readonly verifier: string | undefined;
}

/** Reads the Authorization header. Throws 400 when it names no consumer. */
export function claimsOf(request: OauthRequest): OauthClaims {
  const parameters = parseAuthorization(request.authorization);
  const consumerId = parameterOf(parameters, 'oauth_consumer_key');
  if (consumerId === undefined) throw lacking('oauth_consumer_key');
  return {
    parameters,
    consumerId,
    token: parameterOf(parameters, 'oauth_token'),
    verifier: parameterOf(parameters, 'oauth_verifier'),
  };
}

/**
 * Checks a signature, and that its timestamp is of now and its nonce was not used before. Throws 401; 400 when the request
 * is not signed by HMAC-SHA1, the only method there is.
 */
export async function verifyOauth(
  app: App,
  request: OauthRequest,
  { parameters, consumerId, token = '' }: OauthClaims,
  secrets: { readonly consumer: string; readonly token: string },
): Promise<void> {
  const [method, signature, timestamp, nonce] = [
    'oauth_signature_method',
    'oauth_signature',
    'oauth_timestamp',
    'oauth_nonce',
  ].map((name) => {
    const value = parameterOf(parameters, name);
    if (value === undefined) throw lacking(name);
    return value;
  }) as [string, string, string, string];
  if (method !== 'HMAC-SHA1')
    throw badRequest(`The signature method ${method} is not supported: HMAC-SHA1 is.`);
  if ((parameterOf(parameters, 'oauth_version') ?? '1.0') !== '1.0')
    throw badRequest('The OAuth version is 1.0.');
  const good = request.urls.some((url) =>
    sameText(
      signature,
      hmacSha1(signatureBase(request.method, url, parameters), secrets.consumer, secrets.token),
    ),
  );
  if (!good) throw new MaruError('unauthorized', 'Invalid signature');
  const now = Date.now() / 1000;
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp)) > WINDOW) {
    throw new MaruError('unauthorized', 'The timestamp of the signature is not of now.');
  }
  const id = createHash('sha256').update([consumerId, token, timestamp, nonce].join('\n')).digest('hex');
  const until = new Date((Number(timestamp) + WINDOW + 1) * 1000).toISOString();
  if (!(await app.store.tx((tx) => useNonce(tx, id, until)))) {
    throw new MaruError('unauthorized', 'The nonce of the signature was used before.');
  }
}

/** The refusal of a request without one of its parameters. */
export function lacking(name: string): MaruError {
  return badRequest(
    `Expecting to find ${name} in request. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.`,
  );
}
