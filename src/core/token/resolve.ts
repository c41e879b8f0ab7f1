import type { ProjectRow } from '../../store/identity/projects.js';
import type { RevocationKind } from '../../store/identity/tokens.js';
import type { UserRow } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { NamedRef, TokenInfo } from '../context.js';
import { effectiveRoles } from '../role/effective.js';
import { byAccessToken, byApplicationCredential, byTrust, type Delegated } from './delegation.js';
import type { Lookups } from './lookups.js';
import type { TokenPayload, TokenScope } from './payload.js';
import { expiryText, timeText } from './times.js';

/** Who a token is for and what it may act on, as the database has it now. */
export interface Subject {
  readonly user: UserRow;
  readonly userDomain: ProjectRow;
  readonly scope: ResolvedScope;
  readonly roles: readonly NamedRef[];
}

export type ResolvedScope =
  | { readonly kind: 'unscoped' | 'system' }
  | { readonly kind: 'project'; readonly project: ProjectRow; readonly domain: ProjectRow }
  | { readonly kind: 'domain'; readonly domain: ProjectRow };

/** Looks up user and scope of a token as `resolveSubject` does. */
type SubjectOf = (userId: string, scope: TokenScope, ownRoles: boolean) => Promise<Subject | null>;

/**
 * What a token says now: null when it is revoked, or its user, project or domain is gone or disabled, or no role is left on
 * its scope.
 */
export async function resolveToken(
  db: Reader,
  payload: TokenPayload,
  { isRevoked, subjectOf }: Pick<Lookups, 'isRevoked'> & { readonly subjectOf: SubjectOf },
): Promise<TokenInfo | null> {
  const subject = await subjectOf(payload.userId, payload.scope, payload.trustId === null);
  if (!subject) return null;
  const delegated = await delegatedRoles(db, payload, subject);
  if (!delegated || (subject.scope.kind !== 'unscoped' && delegated.roles.length === 0)) return null;
  const { roles, info } = delegated;
  const subjects = subjectsOf(payload, subject);
  if (info.trust) subjects.push(['user', info.trust.trustor_user.id], ['user', info.trust.trustee_user.id]);
  const issued = { time: new Date(payload.issuedAt).toISOString(), epoch: payload.epoch };
  if (await isRevoked(issued, subjects)) return null;
  return { ...tokenInfo(payload, { ...subject, roles }), ...info };
}

/** The roles that count: the user's own, or what an application credential or a trust leaves of them. */
async function delegatedRoles(
  db: Reader,
  payload: TokenPayload,
  { scope, roles }: Subject,
): Promise<Delegated | null> {
  if (payload.applicationCredentialId !== null) {
    return await byApplicationCredential(db, payload, roles);
  }
  if (payload.accessTokenId !== null) {
    return await byAccessToken(db, payload, roles);
  }
  if (payload.trustId !== null && scope.kind === 'project') return await byTrust(db, payload, scope);
  return { roles, info: {} };
}

/**
 * User and scope as they are; null when one is gone or disabled, or the user has no role there (unless `ownRoles` is false:
 * the trustee of a trust needs none).
 */
export async function resolveSubject(
  db: Reader,
  known: Lookups,
  {
    userId,
    scope,
    ownRoles = true,
  }: { readonly userId: string; readonly scope: TokenScope; readonly ownRoles?: boolean },
): Promise<Subject | null> {
  const user = await known.user(userId);
  if (!user?.enabled) return null;
  const userDomain = await known.project(user.domain_id);
  if (!userDomain?.enabled) return null;
  if (scope.kind === 'unscoped') return { user, userDomain, scope, roles: [] };
  const resolved = await resolveScope(known, scope);
  if (!resolved) return null;
  if (!ownRoles) return { user, userDomain, scope: resolved, roles: [] };
  const roles = await effectiveRoles(
    db,
    userId,
    resolved.kind === 'domain' ? { kind: 'domain', id: resolved.domain.id } : resolved,
    known,
  );
  return roles.length ? { user, userDomain, scope: resolved, roles } : null;
}

async function resolveScope(known: Lookups, scope: Exclude<TokenScope, { kind: 'unscoped' }>) {
  if (scope.kind === 'system') return { kind: 'system' } as const;
  const found = await known.project(scope.id);
  if (!found?.enabled) return null;
  if (scope.kind === 'domain') {
    return found.is_domain ? ({ kind: 'domain', domain: found } as const) : null;
  }
  const domain = found.is_domain ? found : await known.project(found.domain_id);
  return domain?.enabled ? ({ kind: 'project', project: found, domain } as const) : null;
}

function subjectsOf(payload: TokenPayload, { userDomain, scope }: Subject): [RevocationKind, string][] {
  const subjects: [RevocationKind, string][] = [
    ...payload.auditIds.slice(0, 1).map((id): [RevocationKind, string] => ['token', id]),
    ['user', payload.userId],
    ['domain', userDomain.id],
  ];
  if (scope.kind === 'project') subjects.push(['project', scope.project.id], ['domain', scope.domain.id]);
  if (scope.kind === 'domain') subjects.push(['domain', scope.domain.id]);
  return subjects;
}

function tokenInfo(payload: TokenPayload, { user, userDomain, scope, roles }: Subject): TokenInfo {
  return {
    user: {
      id: user.id,
      name: user.name,
      domain: ref(userDomain),
      password_expires_at: expiryText(user.password_expires_at, ''),
    },
    methods: payload.methods,
    audit_ids: payload.auditIds,
    issued_at: timeText(payload.issuedAt),
    expires_at: timeText(payload.expiresAt * 1000),
    project: scope.kind === 'project' ? { ...ref(scope.project), domain: ref(scope.domain) } : null,
    domain: scope.kind === 'domain' ? ref(scope.domain) : null,
    system: scope.kind === 'system' ? { all: true } : null,
    is_domain: scope.kind === 'project' && scope.project.is_domain === 1,
    roles,
  };
}

function ref(row: ProjectRow): NamedRef {
  return { id: row.id, name: row.name };
}
