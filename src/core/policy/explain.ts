import type { PolicyTarget, TokenInfo } from '../context.js';
import { asText, compileRule, fillTemplate, literalText } from './compile.js';
import { type Credentials, credentialsOf, lookUp } from './credentials.js';
import type { RuleNode } from './parse.js';
import type { RuleSet } from './rule-set.js';

/** One part of a rule: whether it held, and why. */
export interface Explanation {
  /** The part as it stands in the rule; `and`, `or`, `not` for what joins others. */
  readonly check: string;
  readonly holds: boolean;
  /** What was compared; empty for what only joins others. */
  readonly why: string;
  readonly parts: readonly Explanation[];
}

/** Takes a rule apart for one token and target. */
export function explain(rules: RuleSet, name: string, token: TokenInfo, target: PolicyTarget): Explanation {
  return explainReference(rules, name, credentialsOf(token), target, name);
}

function explainNode(
  rules: RuleSet,
  node: RuleNode,
  credentials: Credentials,
  target: PolicyTarget,
): Explanation {
  const into = (inner: RuleNode) => explainNode(rules, inner, credentials, target);
  switch (node.kind) {
    case 'true':
      return { check: '@', holds: true, why: 'everybody', parts: [] };
    case 'false':
      return { check: '!', holds: false, why: 'nobody', parts: [] };
    case 'not': {
      const part = into(node.node);
      return { check: 'not', holds: !part.holds, why: '', parts: [part] };
    }
    case 'and':
    case 'or': {
      const parts = node.nodes.map(into);
      const holds = node.kind === 'and' ? parts.every((p) => p.holds) : parts.some((p) => p.holds);
      return { check: node.kind, holds, why: '', parts };
    }
    case 'check':
      return explainCheck(rules, node, credentials, target);
  }
}

function explainCheck(
  rules: RuleSet,
  node: RuleNode & { kind: 'check' },
  credentials: Credentials,
  target: PolicyTarget,
): Explanation {
  const { left, right } = node;
  const check = `${left}:${right}`;
  if (left === 'rule') return explainReference(rules, right, credentials, target, check);
  const holds = compileRule(node, (name) => compiled(rules, name))(credentials, target);
  if (left === 'is_admin') {
    const inner = explainReference(rules, 'context_is_admin', credentials, target, 'rule:context_is_admin');
    return { check, holds, why: '', parts: [inner] };
  }
  return { check, holds, why: reason(left, right, credentials, target), parts: [] };
}

function explainReference(
  rules: RuleSet,
  name: string,
  credentials: Credentials,
  target: PolicyTarget,
  check: string,
): Explanation {
  const node = rules.node(name);
  if (!node) return { check, holds: false, why: 'there is no rule of this name', parts: [] };
  const part = explainNode(rules, node, credentials, target);
  return { check, holds: part.holds, why: '', parts: [part] };
}

function compiled(rules: RuleSet, name: string): ReturnType<typeof compileRule> {
  const node = rules.node(name);
  return node ? compileRule(node, (other) => compiled(rules, other)) : () => false;
}

/** What was compared with what. */
function reason(
  left: string,
  right: string,
  { roles, attributes }: Credentials,
  target: PolicyTarget,
): string {
  if (left === 'field') return `of the target: ${shown(target)}`;
  const wanted = fillTemplate(right)(target);
  if (wanted === undefined) {
    const absent = [...right.matchAll(/%\(([^)]*)\)s/g)].map((m) => m[1]!);
    const names = absent.filter((name) => lookUp(target, name) === undefined);
    return `the target has no ${names.join(', ')}`;
  }
  const template = right.includes('%(') ? `the target's is '${wanted}'` : `wanted is '${wanted}'`;
  if (left === 'role') {
    const has = roles.size === 0 ? 'no roles' : `roles ${[...roles].toSorted().join(', ')}`;
    return right.includes('%(') ? `the user has ${has}; ${template}` : `the user has ${has}`;
  }
  const literal = literalText(left);
  if (literal !== undefined) return template;
  const has = lookUp(attributes, left);
  if (has === undefined || has === null) return `the token has no ${left}; ${template}`;
  const values = Array.isArray(has) ? has.map((one) => asText(one)).join(', ') : asText(has);
  return values === wanted
    ? `the token's ${left} is '${values}', as wanted`
    : `the token's ${left} is '${values}'; ${template}`;
}

function shown(target: PolicyTarget): string {
  return Object.entries(target)
    .map(([name, value]) => `${name}=${asText(value) ?? 'None'}`)
    .join(', ');
}
