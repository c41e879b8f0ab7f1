import type { PolicyTarget } from '../context.js';
import type { Credentials } from './credentials.js';
import { lookUp } from './credentials.js';
import type { RuleNode } from './parse.js';

/** A compiled rule. */
export type RuleCheck = (credentials: Credentials, target: PolicyTarget) => boolean;

/**
 * Compiles a parsed rule to closures. `rule:` references and `is_admin` are looked up by name when they are evaluated, so
 * rules may be defined in any order and replaced.
 */
export function compileRule(node: RuleNode, resolve: (name: string) => RuleCheck): RuleCheck {
  switch (node.kind) {
    case 'true':
      return () => true;
    case 'false':
      return () => false;
    case 'not': {
      const inner = compileRule(node.node, resolve);
      return (credentials, target) => !inner(credentials, target);
    }
    case 'and': {
      const parts = node.nodes.map((n) => compileRule(n, resolve));
      return (credentials, target) => parts.every((part) => part(credentials, target));
    }
    case 'or': {
      const parts = node.nodes.map((n) => compileRule(n, resolve));
      return (credentials, target) => parts.some((part) => part(credentials, target));
    }
    case 'check':
      return compileCheck(node.left, node.right, resolve);
  }
}

/** The attributes of the target that a rule itself looks at. */
export function targetNames(node: RuleNode): string[] {
  switch (node.kind) {
    case 'not':
      return targetNames(node.node);
    case 'and':
    case 'or':
      return node.nodes.flatMap(targetNames);
    case 'check': {
      const field = node.left === 'field' ? parseField(node.right) : null;
      if (field) return [field.attribute];
      return [...node.right.matchAll(/%\(([^)]*)\)s/g)].map((match) => match[1]!);
    }
    default:
      return [];
  }
}

/** The parts of a rule that must not hold. */
export function negated(node: RuleNode): RuleNode[] {
  switch (node.kind) {
    case 'not':
      return [node.node];
    case 'and':
    case 'or':
      return node.nodes.flatMap(negated);
    default:
      return [];
  }
}

/** Names of the rules that a rule refers to. */
export function references(node: RuleNode): string[] {
  switch (node.kind) {
    case 'not':
      return references(node.node);
    case 'and':
    case 'or':
      return node.nodes.flatMap(references);
    case 'check':
      if (node.left === 'rule') return [node.right];
      return node.left === 'is_admin' ? ['context_is_admin'] : [];
    default:
      return [];
  }
}

function compileCheck(left: string, right: string, resolve: (name: string) => RuleCheck): RuleCheck {
  if (left === 'rule') return (credentials, target) => resolve(right)(credentials, target);
  if (left === 'is_admin') {
    const wanted = right.toLowerCase() === 'true' || right === '1';
    return (credentials, target) => resolve('context_is_admin')(credentials, target) === wanted;
  }
  const field = left === 'field' ? parseField(right) : null;
  if (field) return (_credentials, target) => field.matches(asText(lookUp(target, field.attribute)));
  const match = fillTemplate(right);
  if (left === 'role') {
    return (credentials, target) => {
      const role = match(target);
      return role !== undefined && credentials.roles.has(role.toLowerCase());
    };
  }
  const literal = literalText(left);
  if (literal !== undefined) return (_credentials, target) => match(target) === literal;
  // `domain_id:None`: the token is for no domain. What comes from a target never matches an absent attribute
  if (right === 'None') {
    return ({ attributes }) => Object.hasOwn(attributes, left) && (attributes[left] ?? null) === null;
  }
  return (credentials, target) => {
    const wanted = match(target);
    if (wanted === undefined) return false;
    const has = lookUp(credentials.attributes, left);
    return Array.isArray(has) ? has.some((v) => asText(v) === wanted) : asText(has) === wanted;
  };
}

/** Neutron's check of an attribute of the target: `networks:shared=True`, or a regular expression after a `~`. */
function parseField(
  text: string,
): { readonly attribute: string; matches(value: string | undefined): boolean } | null {
  const match = /^[^:]+:([^=]+)=(.*)$/s.exec(text);
  if (!match) return null;
  const [, attribute = '', wanted = ''] = match;
  if (!wanted.startsWith('~')) return { attribute, matches: (value) => value === wanted };
  const pattern = new RegExp(`^(?:${wanted.slice(1)})`);
  return { attribute, matches: (value) => value !== undefined && pattern.test(value) };
}

/** Fills `%(name)s` from the target; undefined when the target lacks a name, which fails the check. */
export function fillTemplate(text: string): (target: PolicyTarget) => string | undefined {
  const parts = text.split(/%\(([^)]*)\)s/);
  if (parts.length === 1) {
    const constant = literalText(text) ?? text;
    return () => constant;
  }
  return (target) => {
    let result = '';
    for (const [i, part] of parts.entries()) {
      if (i % 2 === 0) {
        result += part;
        continue;
      }
      const value = lookUp(target, part);
      if (value === undefined) return undefined;
      result += asText(value) ?? 'None';
    }
    return result;
  };
}

/** The text of a quoted literal, a number or Python's constants; undefined for a name. */
export function literalText(text: string): string | undefined {
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted) return quoted[2];
  return /^(True|False|None|-?\d+(\.\d+)?)$/.test(text) ? text : undefined;
}

/** As Python prints it; what a body has in place of a text, such as a list, is equal to no id. An absent or empty credential matches nothing. */
export function asText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
