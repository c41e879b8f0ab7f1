import {
  type AccessRuleRow,
  accessRules,
  applicationCredentials,
  type TrustRow,
  trusts,
} from '../../store/identity/delegations.js';
import { users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { NamedRef, TokenInfo } from '../context.js';
import { effectiveRoles, expandRoles, type RoleTarget } from '../role/effective.js';
import type { TokenPayload } from './payload.js';
import { hasExpired } from './times.js';

/** What a delegation leaves of its maker's roles, and what tokens say about it. */
export interface Delegated {
  readonly roles: readonly NamedRef[];
  readonly info: Pick<TokenInfo, 'application_credential' | 'trust'>;
}

/** Roles of a token got by an application credential: those it was made with that its user still has. */
export async function byApplicationCredential(
  db: Reader,
  id: string,
  roles: readonly NamedRef[],
): Promise<Delegated | null> {
  const credential = await applicationCredentials.get(db, id);
  if (!credential || hasExpired(credential.expires_at)) return null;
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
 * Roles of a token got by a trust: those entrusted that the trustor still has on the project. Null when the trust is over,
 * or either user is gone or disabled.
 */
export async function byTrust(
  db: Reader,
  payload: TokenPayload,
  target: RoleTarget,
): Promise<Delegated | null> {
  const trust = await trusts.get(db, payload.trustId!);
  if (!trust || !(await isGood(db, trust))) return null;
  const entrusted = new Set(
    (await expandRoles(db, JSON.parse(trust.roles) as string[])).map((role) => role.id),
  );
  const roles = await effectiveRoles(db, trust.trustor_user_id, target);
  return {
    roles: roles.filter((role) => entrusted.has(role.id)),
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

async function isGood(db: Reader, trust: TrustRow): Promise<boolean> {
  if (trust.deleted_at !== null || hasExpired(trust.expires_at)) return false;
  const both = await users.list(db, { id: [trust.trustor_user_id, trust.trustee_user_id], enabled: 1 });
  return both.length === new Set([trust.trustor_user_id, trust.trustee_user_id]).size;
}

function ruleView({ id, service, method, path }: AccessRuleRow) {
  return { id, service, method, path };
}
