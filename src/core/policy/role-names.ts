import { didYouMean } from '../../protocol/config/suggest.js';
import { roles } from '../../store/identity/roles.js';
import type { Reader } from '../../store/store.js';
import { fillTemplate } from './compile.js';
import { parseRule, type RuleNode } from './parse.js';

/**
 * A note for each role that rules ask for and that does not exist, in no domain either: probably misspelt, but a role may also be
 * made after its rules. Rules that cannot be read say nothing here.
 */
export async function notesOnRoles(db: Reader, rules: Iterable<unknown>): Promise<string[]> {
  const asked = new Set([...rules].flatMap(rolesOf));
  if (asked.size === 0) return [];
  const names = (await roles.list(db)).map(({ name }) => name);
  const known = new Set(names.map((name) => name.toLowerCase()));
  return [...asked]
    .filter((name) => !known.has(name.toLowerCase()))
    .map((name) => {
      const hint = didYouMean(name, names);
      return `no role is named '${name}'${hint ? `; ${hint}` : ', and nobody has it until there is one'}`;
    });
}

function rolesOf(rule: unknown): string[] {
  try {
    return rolesIn(parseRule(rule));
  } catch {
    return [];
  }
}

/** Names of roles that a rule itself asks for; those that it takes from its target are not known. */
export function rolesIn(node: RuleNode): string[] {
  switch (node.kind) {
    case 'not':
      return rolesIn(node.node);
    case 'and':
    case 'or':
      return node.nodes.flatMap(rolesIn);
    case 'check':
      if (node.left !== 'role' || node.right.includes('%(')) return [];
      return [fillTemplate(node.right)({}) ?? node.right];
    default:
      return [];
  }
}
