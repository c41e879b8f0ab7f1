import type { TokenInfo } from '../context.js';

/** A token of some project with these roles and nothing else that rules could look at: what they allow it, they allow for its roles. */
export function tokenWith(roles: readonly string[]): TokenInfo {
  const domain = { id: 'some domain', name: 'some domain' };
  return {
    user: { id: 'some user', name: 'some user', domain, password_expires_at: null },
    methods: [],
    audit_ids: [],
    issued_at: '',
    expires_at: '',
    project: { id: 'some project', name: 'some project', domain },
    domain: null,
    system: null,
    is_domain: false,
    roles: roles.map((name) => ({ id: name, name })),
  };
}
