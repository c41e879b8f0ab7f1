import type { OpRequest } from '../shared/operation.js';

/**
 * Who may do what in identity. `admin` administers everything; readers of the system see everything; readers of a domain
 * see what is in their domain; users see themselves.
 */
export const ADMIN = 'rule:admin_required';
export const ADMIN_OR_READER = 'rule:admin_required or rule:system_reader';
export const ANYBODY = '@';

/** Reading a thing that belongs to a domain; `attribute` is the target's attribute that holds the domain's id. */
export function domainReader(attribute: string): string {
  return `${ADMIN_OR_READER} or (role:reader and domain_id:%(${attribute})s)`;
}

/** The policy of an operation of identity. */
export function policy(name: string, rule: string) {
  return { name: `identity:${name}`, rule };
}

/** Target of list operations: the domain asked about, or the caller's. */
export function listTarget({ ctx, query }: OpRequest) {
  const asked = query.domain_id;
  return { 'target.domain_id': typeof asked === 'string' ? asked : (ctx.token.domain?.id ?? '') };
}

/** Readers of one domain see nothing of others: the domain that lists are confined to, if any. */
export function confinedDomain({ ctx }: OpRequest): string | undefined {
  if (ctx.isAdmin || ctx.token.system) return undefined;
  return ctx.token.domain?.id;
}
