import type { TokenInfo } from '../context.js';

/** A token as rules see it. */
export interface Credentials {
  /** Names of the roles, in lower case: rules compare them without regard to case. */
  readonly roles: ReadonlySet<string>;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const known = new WeakMap<TokenInfo, Credentials>();

/** What a token offers to rules. Absent scopes are left out, so that nothing equals them. */
export function credentialsOf(token: TokenInfo): Credentials {
  let credentials = known.get(token);
  if (!credentials) {
    credentials = build(token);
    known.set(token, credentials);
  }
  return credentials;
}

function build(token: TokenInfo): Credentials {
  const { user, project, domain, system } = token;
  const attributes = {
    user_id: user.id || undefined,
    user_domain_id: user.domain.id || undefined,
    project_id: project?.id,
    tenant_id: project?.id,
    tenant: project?.id,
    project_domain_id: project?.domain.id,
    domain_id: domain?.id,
    system_scope: system ? 'all' : undefined,
    is_admin_project: true,
    roles: token.roles.map((role) => role.name),
    token: { user, project: project ?? undefined, domain: domain ?? undefined, roles: token.roles },
  };
  return { roles: new Set(token.roles.map((role) => role.name.toLowerCase())), attributes };
}

/** An attribute by its whole name, else by its dotted path. */
export function lookUp(from: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(from, name)) return from[name];
  let value: unknown = from;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}
