import { type AuthRequest, authenticate } from '../../core/token/authenticate.js';
import { issueReceipt } from '../../core/token/receipt.js';
import type { ValidToken } from '../../core/token/service.js';
import { InsufficientAuthMethods } from '../../core/user/factors.js';
import { OpReply, type OpRequest } from '../shared/operation.js';
import { oauthRequest } from './oauth-request.js';

const RECEIPT = 'openstack-auth-receipt';

/**
 * Authenticates with what a request has in its body and its receipt: the token, or the reply with which the client may go on
 * when more methods are wanted (401 with another receipt).
 */
export async function authenticateRequest(
  request: OpRequest<{ auth: AuthRequest }>,
): Promise<ValidToken | OpReply> {
  const { app, body, raw } = request;
  const receipt = raw.headers[RECEIPT];
  // what is revoked while the request is judged ends what it gives
  const since = await app.identity.tokens.epoch();
  try {
    const caller = {
      address: raw.maru.address,
      signed: oauthRequest(request),
      since,
      ...(typeof receipt === 'string' && receipt !== '' && { receipt }),
    };
    return await authenticate(app, body.auth, caller);
  } catch (error) {
    if (!(error instanceof InsufficientAuthMethods)) throw error;
    const { text, body: reply } = await issueReceipt(app, error.userId, error.methods, since);
    return new OpReply(401, reply, {
      [RECEIPT]: text,
      vary: 'X-Auth-Token',
      'www-authenticate': `Keystone uri="${app.config.public_url}/identity/v3"`,
    });
  }
}
