import { randomBytes, randomInt } from 'node:crypto';
import {
  type AccessTokenRow,
  accessTokens,
  consumers,
  type RequestTokenRow,
  requestTokens,
  useRequestToken,
} from '../../store/identity/oauth.js';
import { projects } from '../../store/identity/projects.js';
import { findRole, roles } from '../../store/identity/roles.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { sameText } from '../credential/ec2-signature.js';
import { forbidden, MaruError } from '../errors.js';
import { missing, mustGet, newId } from '../identity/rows.js';
import { effectiveRoles } from '../role/effective.js';
import { isDelegated } from '../token/guards.js';
import { hasExpired } from '../token/times.js';
import { claimsOf, lacking, type OauthRequest, verifyOauth } from './verify.js';

/** Letters and digits that are not mistaken for each other: users type verifiers. */
const VERIFIER_CHARACTERS = 'abcdefghkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const VERIFIER_LENGTH = 8;

/** A new token with its secret, which is shown once. */
export interface MadeToken {
  readonly id: string;
  readonly secret: string;
  readonly expiresAt: string | null;
}

/** A consumer asks to act in a project: makes a request token. Throws 401 when the request is not signed by the consumer. */
export async function createRequestToken(
  app: App,
  request: OauthRequest,
  projectId: string | undefined,
): Promise<MadeToken> {
  const claims = claimsOf(request);
  if (projectId === undefined) throw lacking('Requested-Project-Id');
  const consumer = await consumerSecret(app, claims.consumerId);
  await verifyOauth(app, request, claims, { consumer, token: '' });
  // nobody learns without a consumer's secret which projects there are
  await mustGet(projects, app.store.read, projectId, 'project');
  const made = newToken(app.config.oauth1_request_token_seconds);
  const row: RequestTokenRow = {
    id: made.id,
    consumer_id: claims.consumerId,
    project_id: projectId,
    secret: await app.identity.sealing.seal(made.secret, made.id),
    user_id: null,
    verifier: null,
    roles: null,
    expires_at: made.expiresAt,
  };
  await app.store.tx(async (tx) => {
    await mustGet(consumers, tx, claims.consumerId, 'consumer');
    await requestTokens.insert(tx, row);
  });
  return made;
}

/** A user lets the consumer act with some of the user's roles in the project; returns the verifier to give to it. */
export async function authorizeRequestToken(
  app: App,
  ctx: Context,
  id: string,
  asked: readonly { readonly id?: string; readonly name?: string }[],
): Promise<string> {
  if (isDelegated(ctx)) {
    throw forbidden('Cannot authorize a request token with a token issued via delegation.');
  }
  const verifier = Array.from({ length: VERIFIER_LENGTH }, () =>
    VERIFIER_CHARACTERS.charAt(randomInt(VERIFIER_CHARACTERS.length)),
  ).join('');
  await app.store.tx(async (tx) => {
    const row = await mustGet(requestTokens, tx, id, 'request token');
    if (hasExpired(row.expires_at)) throw unauthorized('Request token is expired');
    const roleIds = await authorizedRoles(tx, ctx.userId, row.project_id, asked);
    await requestTokens.update(tx, id, { user_id: ctx.userId, verifier, roles: JSON.stringify(roleIds) });
  });
  return verifier;
}

/** A consumer exchanges an authorized request token, which is used up by it, for an access token. */
export async function createAccessToken(app: App, request: OauthRequest): Promise<MadeToken> {
  const claims = claimsOf(request);
  if (claims.token === undefined) throw lacking('oauth_token');
  if (claims.verifier === undefined) throw lacking('oauth_verifier');
  const asked = await requestTokens.get(app.store.read, claims.token);
  if (!asked) throw unauthorized('Invalid signature');
  if (asked.consumer_id !== claims.consumerId) throw unauthorized('Invalid signature');
  await verifyOauth(app, request, claims, {
    consumer: await consumerSecret(app, claims.consumerId),
    token: await app.identity.sealing.open(asked.secret, asked.id),
  });
  if (hasExpired(asked.expires_at)) throw unauthorized('Request token is expired');
  const made = newToken(app.config.oauth1_access_token_seconds);
  const sealed = await app.identity.sealing.seal(made.secret, made.id);
  await app.identity.write(async (tx) => {
    // as it is now: it may have been authorized or used meanwhile
    const row = await mustGet(requestTokens, tx, asked.id, 'request token');
    if (row.user_id === null || row.verifier === null || row.roles === null) {
      throw unauthorized('Request Token does not have an authorizing user id.');
    }
    if (!sameText(row.verifier, claims.verifier!)) {
      throw unauthorized('Provided verifier does not match stored verifier');
    }
    if (!(await useRequestToken(tx, row.id))) throw missing('request token', row.id);
    await accessTokens.insert(tx, {
      id: made.id,
      consumer_id: row.consumer_id,
      project_id: row.project_id,
      secret: sealed,
      user_id: row.user_id,
      roles: row.roles,
      expires_at: made.expiresAt,
    });
  });
  return made;
}

/** The access token by which a consumer has signed a request. Throws 401 when there is none, or the signature is wrong. */
export async function verifyAccessToken(app: App, request: OauthRequest): Promise<AccessTokenRow> {
  const claims = claimsOf(request);
  if (claims.token === undefined) throw lacking('oauth_token');
  const row = await accessTokens.get(app.store.read, claims.token);
  if (!row) throw unauthorized('Invalid signature');
  if (row.consumer_id !== claims.consumerId) throw unauthorized('Invalid signature');
  await verifyOauth(app, request, claims, {
    consumer: await consumerSecret(app, row.consumer_id),
    token: await app.identity.sealing.open(row.secret, row.id),
  });
  if (hasExpired(row.expires_at)) throw unauthorized('Access token is expired');
  return row;
}

/** An access token of a user; 404 for those of others. */
export async function getAccessToken(db: Reader, userId: string, id: string): Promise<AccessTokenRow> {
  const row = await accessTokens.get(db, id);
  if (row?.user_id !== userId) throw missing('access token', id);
  return row;
}

/** Takes back what a user has authorized; tokens got by it end. */
export async function deleteAccessToken(app: App, ctx: Context, userId: string, id: string): Promise<void> {
  refuseDelegated(ctx);
  await app.identity.write(async (tx) => {
    await getAccessToken(tx, userId, id);
    await accessTokens.remove(tx, id);
  });
}

/** Refuses delegated tokens to see or change what was authorized. */
export function refuseDelegated(ctx: Context): void {
  if (isDelegated(ctx))
    throw forbidden('Cannot manage OAuth access tokens with a token issued via delegation.');
}

async function authorizedRoles(
  tx: Tx,
  userId: string,
  projectId: string,
  asked: readonly { readonly id?: string; readonly name?: string }[],
): Promise<string[]> {
  const project = await mustGet(projects, tx, projectId, 'project');
  const own = await effectiveRoles(tx, userId, { kind: 'project', project });
  const ids = new Set<string>();
  for (const { id, name } of asked) {
    const role = id !== undefined ? await roles.get(tx, id) : await findRole(tx, name!);
    if (!role) throw missing('role', id ?? name!);
    if (!own.some((has) => has.id === role.id)) {
      throw unauthorized('authorizing user does not have role required');
    }
    ids.add(role.id);
  }
  return [...ids];
}

async function consumerSecret(app: App, id: string): Promise<string> {
  const row = await consumers.get(app.store.read, id);
  if (!row) throw unauthorized('Invalid signature');
  return await app.identity.sealing.open(row.secret, row.id);
}

function newToken(seconds: number): MadeToken {
  return {
    id: newId(),
    secret: randomBytes(16).toString('hex'),
    expiresAt: seconds > 0 ? new Date(Date.parse(nowText()) + seconds * 1000).toISOString() : null,
  };
}

function unauthorized(message: string): MaruError {
  return new MaruError('unauthorized', message);
}
