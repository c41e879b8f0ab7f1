import { applicationCredentials, trusts, useTrust } from '../../store/identity/delegations.js';
import { accessTokens } from '../../store/identity/oauth.js';
import type { App } from '../app.js';
import { MaruError, notFound } from '../errors.js';
import type { ValidToken } from '../token/service.js';
import { type BoundEc2Credential, findEc2Credential } from './ec2.js';
import { type SignedRequest, signedAt } from './ec2-signature.js';

/**
 * A token for the owner of the EC2 key pair with which a request was signed, on the pair's project. A pair that was made by
 * a delegation gives a token of the same delegation. `check` refuses a wrong signature.
 */
export async function authenticateEc2(
  app: App,
  request: SignedRequest,
  check: (secret: string) => void,
): Promise<ValidToken> {
  if (typeof request.access !== 'string') throw unauthorized('EC2 Signature not supplied');
  const since = await app.identity.tokens.epoch();
  const pair = await findEc2Credential(app, request.access);
  if (!pair) throw notFound('EC2 access key not found.');
  check(pair.secret);
  refuseOld(request, app.config.credential_auth_ttl_minutes * 60_000);
  await refuseOtherProject(app, pair);
  if (pair.trust_id !== null) await takeUse(app, pair.trust_id);
  const token = await app.identity.tokens.issue({
    userId: pair.user_id,
    methods: ['ec2credential'],
    since,
    scope: { kind: 'project', id: pair.tenant_id },
    ...(pair.trust_id !== null && { trustId: pair.trust_id }),
    ...(pair.app_cred_id !== null && { applicationCredentialId: pair.app_cred_id }),
    ...(pair.access_token_id !== null && { accessTokenId: pair.access_token_id }),
  });
  if (!token) throw unauthorized('User not valid for project.');
  return token;
}

function refuseOld(request: SignedRequest, ttl: number): void {
  const written = signedAt(request);
  // whoever signs no timestamp means the signature to last
  if (written === undefined) return;
  const time = parseTime(written);
  if (Number.isNaN(time)) throw unauthorized('Credential timestamp is invalid');
  if (Date.now() > time + ttl) throw unauthorized('Credential is expired');
}

/** ISO 8601 in full or, as version 4 writes it, without separators; without a zone it is UTC. */
function parseTime(written: string): number {
  const short = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(written);
  if (short) {
    const [year, month, day, hour, minute, second] = short.slice(1).map(Number);
    return Date.UTC(year!, month! - 1, day, hour, minute, second);
  }
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(written) ? written : `${written}Z`);
}

async function refuseOtherProject(app: App, pair: BoundEc2Credential): Promise<void> {
  const db = app.store.read;
  const by =
    pair.app_cred_id !== null
      ? await applicationCredentials.get(db, pair.app_cred_id)
      : pair.access_token_id !== null
        ? await accessTokens.get(db, pair.access_token_id)
        : pair.trust_id !== null
          ? await trusts.get(db, pair.trust_id)
          : { project_id: pair.tenant_id };
  if (by?.project_id !== pair.tenant_id) {
    throw unauthorized('The project of the EC2 credential is not that of its delegation.');
  }
}

async function takeUse(app: App, trustId: string): Promise<void> {
  const trust = await trusts.get(app.store.read, trustId);
  if (!trust || trust.remaining_uses === null) return;
  if (!(await app.store.tx((tx) => useTrust(tx, trustId)))) throw unauthorized('The trust is used up.');
}

function unauthorized(message: string): MaruError {
  return new MaruError('unauthorized', message);
}
