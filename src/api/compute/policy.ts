/** Default rules of the compute API's policies. */
export const ADMIN = 'rule:context_is_admin';
/** Reads within the token's project. */
export const READER = 'rule:project_reader_or_admin';
/** Changes within the token's project. */
export const MEMBER = 'rule:project_member_or_admin';
/** Key pairs belong to users. */
export const OWN_USER = 'rule:context_is_admin or user_id:%(user_id)s';
/** Anybody with a token. */
export const ANYBODY = '@';

/** A policy of the compute API: its name without the service's prefix, and its default rule. */
export function policy(name: string, rule: string): { readonly name: string; readonly rule: string } {
  return { name: `os_compute_api:${name}`, rule };
}
