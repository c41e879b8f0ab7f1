import { authenticateEc2 } from '../../core/credential/ec2-authenticate.js';
import { checkEc2Signature, type SignedRequest } from '../../core/credential/ec2-signature.js';
import { checkS3Signature } from '../../core/credential/s3-signature.js';
import { MaruError } from '../../core/errors.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';
import { policy } from './policy.js';

const SERVICE = 'rule:admin_required or role:service';
const TEXT = { type: 'string' };
const OBJECT = { type: 'object' };
const CREDENTIALS = {
  type: 'object',
  properties: {
    access: TEXT,
    signature: TEXT,
    verb: TEXT,
    host: TEXT,
    path: TEXT,
    body_hash: TEXT,
    token: TEXT,
    params: OBJECT,
    headers: OBJECT,
  },
};
const BODY = {
  type: 'object',
  minProperties: 1,
  properties: { credentials: CREDENTIALS, credential: CREDENTIALS, ec2Credentials: CREDENTIALS },
};

type Signed = SignedRequest & { readonly token?: unknown };
interface Body {
  readonly credentials?: Signed;
  readonly credential?: Signed;
  readonly ec2Credentials?: Signed;
}

/** Tokens for requests that other services got and that were signed with an EC2 key pair. */
export const ec2TokenOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v3/ec2tokens',
    policy: policy('ec2tokens_validate', SERVICE),
    summary: 'issue a token for a request signed as EC2 wants it',
    body: BODY,
    status: 200,
    audit: { action: 'identity:authenticate', login: true },
    async handler(request: OpRequest<Body>) {
      const signed = signedOf(request);
      const token = await authenticateEc2(request.app, signed, (secret) => checkEc2Signature(secret, signed));
      const body = await request.app.identity.tokens.body(token, { catalog: true });
      return new OpReply(200, body, { 'x-subject-token': token.text });
    },
  },
  {
    method: 'POST',
    path: '/v3/s3tokens',
    policy: policy('s3tokens_validate', SERVICE),
    summary: 'issue a token for a request signed as S3 wants it',
    body: BODY,
    status: 200,
    audit: { action: 'identity:authenticate', login: true },
    async handler(request: OpRequest<Body>) {
      const signed = signedOf(request);
      const token = await authenticateEc2(request.app, signed, (secret) =>
        checkS3Signature(secret, signed.token, signed.signature),
      );
      return new OpReply(200, await request.app.identity.tokens.body(token, { catalog: true }));
    },
  },
];

function signedOf({ body }: OpRequest<Body>): Signed {
  const signed = body.credentials ?? body.credential ?? body.ec2Credentials;
  if (signed?.access === undefined) throw new MaruError('unauthorized', 'EC2 Signature not supplied');
  return signed;
}
