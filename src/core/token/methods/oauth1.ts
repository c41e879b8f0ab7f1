import { verifyAccessToken } from '../../oauth/tokens.js';
import { given, type Prove, unauthorized } from './method.js';

/** A request signed by a consumer with an OAuth1 access token: acts as the user who authorized it, in its project. */
export const proveOauth1: Prove = async (app, identity, caller) => {
  given(identity.oauth1, 'oauth1');
  if (!caller.signed) throw unauthorized();
  const token = await verifyAccessToken(app, caller.signed);
  return {
    userId: token.user_id,
    scope: { kind: 'project', id: token.project_id },
    accessTokenId: token.id,
  };
};
