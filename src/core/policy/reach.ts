import type { PolicyEntry } from './engine.js';
import { rolesIn } from './role-names.js';
import type { RuleSet } from './rule-set.js';
import { tokenWith } from './some-token.js';
import { ANOTHERS } from './target.js';

/**
 * Notes where rules, of policies that by default are bound to the project, let others than administrators at the things of all
 * projects, which is meant for auditors and operators and easily written by mistake; and where they ask for no role, so that even
 * readers are allowed it within their project. Policies of which the same is to be said share a note.
 */
export function notesOnReach(rules: RuleSet, entries: readonly PolicyEntry[]): string[] {
  const open: string[] = [];
  const reached = new Map<string, string[]>();
  for (const entry of entries) {
    const { name } = entry;
    if (!isBoundByDefault(entry)) continue;
    if (rules.asksNothing(name)) {
      open.push(name);
      continue;
    }
    const who = rolesThatReach(rules, name).join(', ');
    if (who !== '') reached.set(who, [...(reached.get(who) ?? []), name]);
  }
  const unbound = [...reached].map(
    ([who, names]) =>
      `${names.join(', ')} ${names.length > 1 ? 'are' : 'is'} not bound to the project for ${who}: the things of all projects are reached; if that is not meant, add project_id:%(project_id)s`,
  );
  if (open.length === 0) return unbound;
  return [
    ...unbound,
    `${open.join(', ')} ${open.length > 1 ? 'ask' : 'asks'} for no role: allowed to everybody within the own project, and to administrators only beyond it`,
  ];
}

/** True for what is about things, and asks by default whose they are. */
function isBoundByDefault({ default: declared, uses }: PolicyEntry): boolean {
  const aboutThings = uses.some(({ method, path }) => method !== 'POST' || /:(?!project_id\b)/.test(path));
  return aboutThings && declared !== null && /\brule:project_/.test(declared);
}

/** Of the roles that the rule, with all that it refers to, asks for: those that reach another project's things by it. */
function rolesThatReach(rules: RuleSet, name: string): string[] {
  const roles = rules.closure(name).flatMap((one) => {
    const node = rules.node(one);
    return node ? rolesIn(node) : [];
  });
  return [...new Set(roles)]
    .filter((role) => {
      const token = tokenWith([role]);
      return rules.check(name, token, ANOTHERS) && !rules.check('context_is_admin', token, ANOTHERS);
    })
    .map((role) => `role:${role}`);
}
