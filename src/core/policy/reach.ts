import type { TokenInfo } from '../context.js';
import type { PolicyEntry } from './engine.js';
import { rolesIn } from './role-names.js';
import type { RuleSet } from './rule-set.js';
import { ANOTHERS } from './target.js';

/**
 * A note where a rule, of a policy that by default is bound to the project, lets others than administrators at the things of all
 * projects: meant for auditors and operators, and easily written by mistake.
 */
export function notesOnReach(rules: RuleSet, { name, default: declared, uses }: PolicyEntry): string[] {
  const aboutThings = uses.some(({ method, path }) => method !== 'POST' || /:(?!project_id\b)/.test(path));
  if (!aboutThings || declared === null || !/\brule:project_/.test(declared)) return [];
  const reaches = (...roles: string[]) => {
    const token = tokenWith(roles);
    return rules.check(name, token, ANOTHERS) && !rules.check('context_is_admin', token, ANOTHERS);
  };
  const roles = rules.closure(name).flatMap((one) => {
    const node = rules.node(one);
    return node ? rolesIn(node) : [];
  });
  const who = reaches()
    ? ['everybody']
    : [...new Set(roles)].filter((role) => reaches(role)).map((role) => `role:${role}`);
  if (who.length === 0) return [];
  return [
    `${name} is not bound to the project for ${who.join(', ')}: the things of all projects are reached; if that is not meant, add project_id:%(project_id)s`,
  ];
}

/** A token of some project with these roles and nothing else that rules could look at. */
function tokenWith(roles: readonly string[]): TokenInfo {
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
