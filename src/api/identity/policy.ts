import type { PolicyTarget } from '../../core/context.js';
import { mustGet } from '../../core/identity/rows.js';
import type { Reader } from '../../store/store.js';
import type { OpRequest } from '../shared/operation.js';

/**
 * Who may do what in identity, as Keystone's secure defaults have it:
 *
 * - `admin`, wherever it is granted, administers the whole cloud. Tokens for a domain are no use for what belongs to no
 *   domain (catalogue, roles, limits, domains themselves), not even with `admin`.
 * - Readers of the system see everything.
 * - In a domain, by a token for that domain: readers see its projects, users, groups and grants; the manager keeps them.
 *   A manager grants only the roles of `domain_managed_target_role`, and does not touch users and groups which have more
 *   than that.
 * - Users see themselves, and the project of their token.
 */
export const ADMIN = '(rule:admin_required and domain_id:None)';
export const ADMIN_OR_READER = `${ADMIN} or rule:system_reader`;
/** Administrators whatever their token is for, a domain included. */
export const ANY_ADMIN = 'rule:admin_required';
export const ANYBODY = '@';

/** Rules that those of the operations refer to; operators may replace them by name. */
export const IDENTITY_RULES: Readonly<Record<string, string>> = {
  'identity:get_domain_role': ADMIN_OR_READER,
  'identity:list_domain_roles': ADMIN_OR_READER,
  'identity:create_domain_role': ADMIN,
  'identity:update_domain_role': ADMIN,
  'identity:delete_domain_role': ADMIN,
  'identity:list_role_assignments_for_tree': domainReader('target.domain_id'),
  domain_managed_target_role:
    "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
  domain_managed_target_user: 'False:%(target.user.privileged)s',
  domain_managed_target_group: 'False:%(target.group.privileged)s',
};

/** Reading a thing that belongs to a domain; `attribute` is the target's attribute that holds the domain's id. */
export function domainReader(attribute: string): string {
  return `${ANY_ADMIN} or rule:system_reader or (role:reader and domain_id:%(${attribute})s)`;
}

/** Changing a thing that belongs to a domain; `condition` must hold besides for the domain's manager. */
export function domainManager(attribute: string, condition = ''): string {
  return `${ANY_ADMIN} or (role:manager and domain_id:%(${attribute})s${condition && ` and ${condition}`})`;
}

/** The policy of an operation of identity. */
export function policy(name: string, rule: string) {
  return { name: `identity:${name}`, rule };
}

/**
 * What every rule of identity may compare besides the operation's own target: the ids in the path, as in Keystone under their
 * names there (`user_id`) and as those of things (`target.user.id`). Nothing in it comes from the caller's token, which would
 * make everybody the owner of everything.
 */
export function pathTarget({ params }: Pick<OpRequest, 'params'>): PolicyTarget {
  const target: Record<string, unknown> = { ...params };
  for (const [name, id] of Object.entries(params)) {
    if (name.endsWith('_id')) target[`target.${name.slice(0, -'_id'.length)}.id`] = id;
  }
  return target;
}

/** Target of list operations: the domain of the token, to which they are confined. */
export function listTarget({ ctx }: OpRequest) {
  return { 'target.domain_id': ctx.token.domain?.id ?? '' };
}

/** Tokens for a domain list nothing of others: the domain that lists are confined to, if any. */
export function confinedDomain({ ctx }: OpRequest): string | undefined {
  return ctx.token.domain?.id;
}

/** Filters of a list, confined to the domain of the token: another domain has nothing in it. */
export function confined<F extends Readonly<Record<string, unknown>>>(request: OpRequest, filters: F) {
  const own = confinedDomain(request);
  if (own === undefined) return filters;
  const asked = filters.domain_id;
  return { ...filters, domain_id: asked === undefined || asked === own ? own : [] };
}

/** A text of the request's body below its envelope, before the body has been checked. */
export function bodyText({ body }: OpRequest, envelope: string, attribute: string): string | undefined {
  const value = (body as Record<string, Record<string, unknown> | null> | null)?.[envelope]?.[attribute];
  return typeof value === 'string' ? value : undefined;
}

/** The domain in which a request makes something: what its body says, else the caller's own. */
export function bodyDomain(request: OpRequest, envelope: string): string {
  const { domain, project } = request.ctx.token;
  return bodyText(request, envelope, 'domain_id') ?? domain?.id ?? project?.domain.id ?? '';
}

/**
 * Target of operations on one row about which their rule says nothing. Like Keystone they look for the row first: whoever
 * has a token gets 404 for one that does not exist.
 */
export function existing(
  rows: { get(db: Reader, id: string): Promise<{ readonly id: string } | undefined> },
  param: string,
  what: string,
) {
  return async ({ app, params }: OpRequest) => {
    await mustGet(rows, app.store.read, params[param]!, what);
    return {};
  };
}
