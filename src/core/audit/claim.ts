import { applicationCredentials } from '../../store/identity/delegations.js';
import { findProject, projects } from '../../store/identity/projects.js';
import { findUser, type UserRow, users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { AuditNote } from './record.js';

/** Whom a request for a token names: nothing of it is proved. */
export interface UserClaim {
  readonly id?: string;
  readonly name?: string;
  readonly domain?: { readonly id?: string; readonly name?: string };
  readonly applicationCredentialId?: string;
}

/** Whom the body of a request for a token says that it comes from; null: it does not say. */
export function claimedUser(body: unknown): UserClaim | null {
  const identity = at(at(body, 'auth'), 'identity');
  for (const method of ['password', 'totp']) {
    const user = reference(at(at(identity, method), 'user'));
    if (user) return user;
  }
  const credential = at(identity, 'application_credential');
  const id = at(credential, 'id');
  if (typeof id === 'string') return { applicationCredentialId: id };
  return reference(at(credential, 'user'));
}

/**
 * The user that a claim is about. Null when there is none: then nothing of what was sent is kept, as people type passwords where
 * their names belong.
 */
export async function findClaimed(db: Reader, claim: UserClaim): Promise<AuditNote['user'] | null> {
  const user = await rowOf(db, claim);
  if (!user) return null;
  const domain = await projects.get(db, user.domain_id);
  return {
    id: user.id,
    name: user.name,
    domain: { id: user.domain_id, ...(domain && { name: domain.name }) },
  };
}

async function rowOf(db: Reader, claim: UserClaim): Promise<UserRow | undefined> {
  if (claim.applicationCredentialId !== undefined) {
    const credential = await applicationCredentials.get(db, claim.applicationCredentialId);
    return credential && (await users.get(db, credential.user_id));
  }
  if (claim.id !== undefined) return await users.get(db, claim.id);
  const domain =
    claim.domain?.id ?? (claim.domain?.name && (await findProject(db, '', claim.domain.name))?.id);
  return domain && claim.name !== undefined ? await findUser(db, domain, claim.name) : undefined;
}

function reference(value: unknown): UserClaim | null {
  const [id, name] = [at(value, 'id'), at(value, 'name')];
  if (typeof id === 'string') return { id };
  if (typeof name !== 'string') return null;
  const [domainId, domainName] = [at(at(value, 'domain'), 'id'), at(at(value, 'domain'), 'name')];
  return {
    name,
    domain: {
      ...(typeof domainId === 'string' && { id: domainId }),
      ...(typeof domainName === 'string' && { name: domainName }),
    },
  };
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
