import type { Selectable } from 'kysely';
import type { Tx } from '../store.js';
import type {
  OauthAccessTokenTable,
  OauthConsumerTable,
  OauthRequestTokenTable,
} from '../tables/delegation.js';
import { idRows } from './table.js';

export type ConsumerRow = Selectable<OauthConsumerTable>;
export type RequestTokenRow = Selectable<OauthRequestTokenTable>;
export type AccessTokenRow = Selectable<OauthAccessTokenTable>;

export const consumers = idRows('oauth_consumer');
export const requestTokens = idRows('oauth_request_token');
export const accessTokens = idRows('oauth_access_token');

/** Removes the tokens of a consumer that is about to go. */
export async function removeTokensOfConsumer(tx: Tx, consumerId: string): Promise<void> {
  await tx.deleteFrom('oauth_request_token').where('consumer_id', '=', consumerId).execute();
  await tx.deleteFrom('oauth_access_token').where('consumer_id', '=', consumerId).execute();
}

/** Removes an authorized request token, which is thereby used; false when another request has used it before. */
export async function useRequestToken(tx: Tx, id: string): Promise<boolean> {
  const result = await tx.deleteFrom('oauth_request_token').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Remembers a signature's nonce; false when it was used before. */
export async function useNonce(tx: Tx, id: string, expiresAt: string): Promise<boolean> {
  const result = await tx
    .insertInto('oauth_nonce')
    .values({ id, expires_at: expiresAt })
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Forgets nonces that are too old to count, and request and access tokens that have expired. */
export async function purgeOauth(tx: Tx, now: string): Promise<void> {
  await tx.deleteFrom('oauth_nonce').where('expires_at', '<', now).execute();
  await tx.deleteFrom('oauth_request_token').where('expires_at', '<', now).execute();
  await tx.deleteFrom('oauth_access_token').where('expires_at', '<', now).execute();
}
