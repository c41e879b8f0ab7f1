import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { PolicyEngine } from '../auth.js';
import type { PolicyTarget, TokenInfo } from '../context.js';
import { compileRule, type RuleCheck, references } from './compile.js';
import { credentialsOf } from './credentials.js';
import { parseRule, type RuleNode } from './parse.js';
import { BASE_RULES } from './rules.js';

/** One named rule: where its text comes from, and what it compiled to. */
interface Rule {
  readonly node: RuleNode;
  readonly check: RuleCheck;
}

/** Evaluates named rules; those of the operator's file replace the defaults. */
export class RulePolicy implements PolicyEngine {
  readonly #defaults = new Map<string, string>(Object.entries(BASE_RULES));
  #file: string | null;
  #overrides: ReadonlyMap<string, unknown>;
  #rules = new Map<string, Rule>();

  /** Reads the overrides. Throws with the file and the rule when it cannot be read. */
  constructor(file: string | null) {
    this.#file = file;
    this.#overrides = readOverrides(file);
    this.#rebuild();
  }

  register(name: string, defaultRule: string): void {
    const before = this.#defaults.get(name);
    if (before === defaultRule) return;
    if (before !== undefined) {
      throw new Error(`policy ${name} is declared twice: '${before}' and '${defaultRule}'`);
    }
    this.#defaults.set(name, defaultRule);
    this.#rules.set(name, this.#compile(name, this.#overrides.get(name) ?? defaultRule));
  }

  /**
   * Checks the whole once every operation is registered: no name in the file that nothing uses, no reference to a rule that
   * does not exist, no rule that refers to itself. Throws with the first that is wrong.
   */
  verify(): void {
    verifyNames(this.#file, this.#overrides, this.#defaults);
    verifyReferences(this.#rules);
  }

  check(name: string, token: TokenInfo, target: PolicyTarget): boolean {
    const rule = this.#rules.get(name);
    return rule?.check(credentialsOf(token), target) ?? false;
  }

  /** Reads the file, or another, again; on an error, which is thrown, the rules stay as they were. */
  reload(file = this.#file): void {
    const overrides = readOverrides(file);
    verifyNames(file, overrides, this.#defaults);
    const [oldOverrides, oldRules] = [this.#overrides, this.#rules];
    try {
      this.#overrides = overrides;
      this.#rebuild();
      verifyReferences(this.#rules);
      this.#file = file;
    } catch (error) {
      this.#overrides = oldOverrides;
      this.#rules = oldRules;
      throw error;
    }
  }

  /** Every policy with the rule in force, for listings. */
  list(): { readonly name: string; readonly rule: unknown; readonly overridden: boolean }[] {
    return [...this.#defaults].map(([name, rule]) => ({
      name,
      rule: this.#overrides.get(name) ?? rule,
      overridden: this.#overrides.has(name),
    }));
  }

  #rebuild(): void {
    const rules = new Map<string, Rule>();
    for (const [name, rule] of this.#defaults) {
      rules.set(name, this.#compile(name, this.#overrides.get(name) ?? rule));
    }
    this.#rules = rules;
  }

  #compile(name: string, rule: unknown): Rule {
    try {
      const node = parseRule(rule);
      return { node, check: compileRule(node, (other) => this.#rules.get(other)?.check ?? never) };
    } catch (error) {
      throw new Error(`policy ${name}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function never(): boolean {
  return false;
}

function readOverrides(file: string | null): ReadonlyMap<string, unknown> {
  if (file === null) return new Map();
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new Error(`policy file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new Error(`policy file ${file}: expected a mapping of policy names to rules`);
  }
  for (const [name, rule] of Object.entries(content)) {
    try {
      parseRule(rule);
    } catch (error) {
      throw new Error(`policy file ${file}, ${name}: ${(error as Error).message}`, { cause: error });
    }
  }
  return new Map(Object.entries(content));
}

function verifyNames(
  file: string | null,
  overrides: ReadonlyMap<string, unknown>,
  known: ReadonlyMap<string, string>,
): void {
  for (const name of overrides.keys()) {
    if (!known.has(name)) throw new Error(`policy file ${file}: there is no policy named '${name}'`);
  }
}

function verifyReferences(rules: ReadonlyMap<string, Rule>): void {
  const settled = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (settled.has(name)) return;
    if (path.includes(name)) {
      throw new Error(`policy rules refer to each other in a circle: ${[...path, name].join(' → ')}`);
    }
    const rule = rules.get(name);
    if (!rule) throw new Error(`policy ${path.at(-1)} refers to rule '${name}', which does not exist`);
    for (const other of references(rule.node)) visit(other, [...path, name]);
    settled.add(name);
  };
  for (const name of rules.keys()) visit(name, []);
}
