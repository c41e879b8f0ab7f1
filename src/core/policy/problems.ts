import { didYouMean, edits } from '../../protocol/config/suggest.js';
import { references } from './compile.js';
import { parseRule, type RuleNode } from './parse.js';
import { RuleSyntaxError } from './tokens.js';

/** What is wrong with a rule. */
export interface PolicyProblem {
  readonly name: string;
  readonly message: string;
  /** Character of the rule's text, from 1, where reading it failed. */
  readonly position?: number;
}

/** Rules by name: text, or oslo.policy's older lists. */
export type Rules = ReadonlyMap<string, unknown>;

/** Edits by which a name of a policy file is taken for a misspelt one of ours, not for one of another service or release. */
const MISSPELT = 2;

/**
 * Everything that is wrong with rules that are to hold together: text that cannot be read, references to rules that do not
 * exist, rules that refer to each other in a circle.
 */
export function findProblems(rules: Rules): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const nodes = new Map<string, RuleNode>();
  for (const [name, rule] of rules) {
    try {
      nodes.set(name, parseRule(rule));
    } catch (error) {
      const position = error instanceof RuleSyntaxError ? { position: error.position } : {};
      problems.push({ name, message: (error as Error).message, ...position });
    }
  }
  for (const [name, node] of nodes) {
    for (const other of new Set(references(node))) {
      if (rules.has(other)) continue;
      const hint = didYouMean(other, rules.keys());
      const message = `policy ${name} refers to rule '${other}', which does not exist${hint && `; ${hint}`}`;
      problems.push({ name, message });
    }
  }
  return [...problems, ...findCircles(nodes)];
}

/** Names that no operation has and no rule refers to, each with a near name of ours if there is one. */
export function unknownNames(overrides: Rules, known: ReadonlyMap<string, string>): PolicyProblem[] {
  const used = new Set([...overrides.values()].flatMap(referencesOf));
  return [...overrides.keys()]
    .filter((name) => !known.has(name) && !used.has(name))
    .map((name) => {
      const hint = didYouMean(name, known.keys());
      return { name, message: `there is no policy named '${name}'${hint && `; ${hint}`}` };
    });
}

/** True for a name that differs so little from one of ours that it is a slip of the pen. */
export function isMisspelt(name: string, known: Iterable<string>): boolean {
  for (const one of known) {
    if (Math.abs(one.length - name.length) <= MISSPELT && edits(name, one) <= MISSPELT) return true;
  }
  return false;
}

function referencesOf(rule: unknown): string[] {
  try {
    return references(parseRule(rule));
  } catch {
    // it is reported as unreadable
    return [];
  }
}

function findCircles(nodes: ReadonlyMap<string, RuleNode>): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const settled = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (settled.has(name)) return;
    const before = path.indexOf(name);
    if (before >= 0) {
      const circle = [...path.slice(before), name].join(' → ');
      problems.push({ name, message: `policy rules refer to each other in a circle: ${circle}` });
      return;
    }
    const node = nodes.get(name);
    for (const other of node ? references(node) : []) visit(other, [...path, name]);
    settled.add(name);
  };
  for (const name of nodes.keys()) visit(name, []);
  return problems;
}
