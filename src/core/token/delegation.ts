import {
  type AccessRuleRow,
  accessRules,
  applicationCredentials,
  trusts,
} from '../../store/identity/delegations.js';
import { accessTokens } from '../../store/identity/oauth.js';
import type { Reader } from '../../store/store.js';
import type { NamedRef, TokenInfo } from '../context.js';
import { effectiveRoles, expandRoles, type RoleTarget } from '../role/effective.js';
import { isChainGood, trustChain } from '../trust/chain.js';
import type { TokenPayload } from './payload.js';
import { hasExpired } from './times.js';

/** What a delegation leaves of its maker's roles, and what tokens say about it. */
export interface Delegated {
  readonly roles: readonly NamedRef[];
  readonly info: Pick<TokenInfo, 'application_credential' | 'trust' | 'oauth1'>;
}

/** When the delegation of a token ends, in milliseconds since 1970; infinity when it has none, or one without an end. */
export async function delegationEnd(
  db: Reader,
  token: Pick<TokenPayload, 'applicationCredentialId' | 'trustId' | 'accessTokenId'>,
): Promise<number> {
  const { applicationCredentialId, trustId, accessTokenId } = token;
  const found = await Promise.all([
    applicationCredentialId === null ? undefined : applicationCredentials.get(db, applicationCredentialId),
    trustId === null ? undefined : trusts.get(db, trustId),
    accessTokenId === null ? undefined : accessTokens.get(db, accessTokenId),
  ]);
  const ends = found.map((row) => row?.expires_at ?? null).filter((end) => end !== null);
  return Math.min(Number.POSITIVE_INFINITY, ...ends.map((end) => Date.parse(end)));
}

/** Roles of a token got by an application credential: those it was made with that its user still has. */
export async function byApplicationCredential(
  db: Reader,
  payload: TokenPayload,
  roles: readonly NamedRef[],
): Promise<Delegated | null> {
  const credential = await applicationCredentials.get(db, payload.applicationCredentialId!);
  if (!credential || hasExpired(credential.expires_at)) return null;
  if (!isFor(payload, credential.user_id, credential.project_id)) return null;
  const granted = await expandRoles(db, JSON.parse(credential.roles) as string[]);
  const allowed = new Set(granted.map((role) => role.id));
  const ruleIds = credential.access_rules && (JSON.parse(credential.access_rules) as string[]);
  return {
    roles: roles.filter((role) => allowed.has(role.id)),
    info: {
      application_credential: {
        id: credential.id,
        name: credential.name,
        restricted: credential.unrestricted === 0,
        ...(ruleIds && { access_rules: (await accessRules.list(db, { id: ruleIds })).map(ruleView) }),
      },
    },
  };
}

/**
 * Roles of a token got by a trust. Null when the trust or one that it comes from is over, when somebody in the chain is gone
 * or disabled, or when the first trustor has lost one of the roles.
 */
export async function byTrust(
  db: Reader,
  payload: TokenPayload,
  target: RoleTarget,
): Promise<Delegated | null> {
  const trust = await trusts.get(db, payload.trustId!);
  const chain = trust && (await trustChain(db, trust));
  if (!chain || !(await isChainGood(db, chain))) return null;
  // whoever names a trust must be who it is for
  const holder = trust.impersonation ? trust.trustor_user_id : trust.trustee_user_id;
  if (!isFor(payload, holder, trust.project_id)) return null;
  const entrusted = await expandRoles(db, JSON.parse(trust.roles) as string[]);
  const roles = await effectiveRoles(db, chain.at(-1)!.trustor_user_id, target);
  const has = new Set(roles.map((role) => role.id));
  if (!entrusted.every((role) => has.has(role.id))) return null;
  return {
    roles: entrusted,
    info: {
      trust: {
        id: trust.id,
        impersonation: trust.impersonation === 1,
        trustor_user: { id: trust.trustor_user_id },
        trustee_user: { id: trust.trustee_user_id },
      },
    },
  };
}

/** Roles of a token got by an OAuth1 access token: those that its user authorized and still has on the project. */
export async function byAccessToken(
  db: Reader,
  payload: TokenPayload,
  roles: readonly NamedRef[],
): Promise<Delegated | null> {
  const token = await accessTokens.get(db, payload.accessTokenId!);
  if (!token || hasExpired(token.expires_at)) return null;
  if (!isFor(payload, token.user_id, token.project_id)) return null;
  const authorized = await expandRoles(db, JSON.parse(token.roles) as string[]);
  const allowed = new Set(authorized.map((role) => role.id));
  return {
    roles: roles.filter((role) => allowed.has(role.id)),
    info: { oauth1: { access_token_id: token.id, consumer_id: token.consumer_id } },
  };
}

/** True when a token is one of the user on the project, as its delegation wants. */
function isFor({ userId, scope }: TokenPayload, holder: string, projectId: string | null): boolean {
  return userId === holder && scope.kind === 'project' && scope.id === projectId;
}

function ruleView({ id, service, method, path }: AccessRuleRow) {
  return { id, service, method, path };
}
