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

/** Rules that refer one to the next: each is a call within the check of the first. */
const LONGEST_CHAIN = 100;

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

/** Circles, and chains of references that are longer than a check should follow. */
function findCircles(nodes: ReadonlyMap<string, RuleNode>): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  /** Rules that are done, with how many others lie one behind the other below each. */
  const settled = new Map<string, number>();
  for (const start of nodes.keys()) {
    if (settled.has(start)) continue;
    // a stack of its own: a chain may be longer than the one of calls
    const path = [visitOf(start, nodes)];
    const onPath = new Set([start]);
    for (let visit = path.at(-1); visit; visit = path.at(-1)) {
      const next = visit.left.pop();
      if (next === undefined) {
        path.pop();
        onPath.delete(visit.name);
        settled.set(visit.name, visit.below);
        const above = path.at(-1);
        if (above) above.below = Math.max(above.below, visit.below + 1);
        // were just these to deny, no chain would be too long
        if (visit.below > 0 && visit.below % (LONGEST_CHAIN + 1) === 0)
          problems.push({ name: visit.name, message: tooLong(visit.name) });
      } else if (onPath.has(next)) {
        const names = path.map(({ name }) => name);
        const circle = [...names.slice(names.indexOf(next)), next].join(' → ');
        problems.push({ name: next, message: `policy rules refer to each other in a circle: ${circle}` });
      } else if (settled.has(next)) {
        visit.below = Math.max(visit.below, settled.get(next)! + 1);
      } else {
        path.push(visitOf(next, nodes));
        onPath.add(next);
      }
    }
  }
  return problems;
}

/** A rule on the way, the references that are still to be followed, the last first, and the longest chain found below it. */
function visitOf(name: string, nodes: ReadonlyMap<string, RuleNode>) {
  const node = nodes.get(name);
  return { name, left: node ? [...new Set(references(node))].reverse() : [], below: 0 };
}

function tooLong(name: string): string {
  return `policy ${name} refers to a chain of more than ${LONGEST_CHAIN} rules, one referring to the next`;
}
