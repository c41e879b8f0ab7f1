import type { PolicyTarget, TokenInfo } from '../context.js';
import { compileRule, negated, type RuleCheck, references, targetNames } from './compile.js';
import { credentialsOf } from './credentials.js';
import { parseRule, type RuleNode } from './parse.js';
import { tokenWith } from './some-token.js';
import { ANOTHERS } from './target.js';

interface Rule {
  readonly node: RuleNode;
  readonly check: RuleCheck;
}

const WITHOUT_ROLE = tokenWith([]);

/** Named rules that refer to each other. A reference to a name that is not there denies. */
export class RuleSet {
  readonly #rules = new Map<string, Rule>();
  /** Which attributes of its target each rule looks at; forgotten when a rule is put in. */
  readonly #names = new Map<string, ReadonlySet<string>>();

  /** Adds or replaces a rule; throws with its name when it cannot be read. */
  put(name: string, rule: unknown): void {
    try {
      const node = parseRule(rule);
      this.#rules.set(name, {
        node,
        check: compileRule(node, (other) => this.#rules.get(other)?.check ?? never),
      });
      this.#names.clear();
    } catch (error) {
      throw new Error(`policy ${name}: ${(error as Error).message}`, { cause: error });
    }
  }

  names(): Iterable<string> {
    return this.#rules.keys();
  }

  /** The rule as a tree; undefined when there is none. */
  node(name: string): RuleNode | undefined {
    return this.#rules.get(name)?.node;
  }

  /** True when the rule allows it. An unknown name denies. */
  check(name: string, token: TokenInfo, target: PolicyTarget): boolean {
    return this.#rules.get(name)?.check(credentialsOf(token), target) ?? false;
  }

  /** The attributes of the target that the rule, or a rule that it refers to, looks at. */
  targetNames(name: string): ReadonlySet<string> {
    let names = this.#names.get(name);
    if (!names) {
      names = new Set(
        this.closure(name).flatMap((one) => {
          const node = this.node(one);
          return node ? targetNames(node) : [];
        }),
      );
      this.#names.set(name, names);
    }
    return names;
  }

  /**
   * True when the rule, or one that it refers to, denies something for what it is (`not 'x':%(name)s`). One that does not, and allows a
   * thing of which nothing is known, allows every thing.
   */
  excludes(name: string): boolean {
    return this.closure(name).some((one) => {
      const node = this.node(one);
      return (node ? negated(node) : []).some(
        (part) =>
          targetNames(part).length > 0 || references(part).some((other) => this.targetNames(other).size > 0),
      );
    });
  }

  /**
   * True when the rule allows a token without any role what is another project's: it asks neither who somebody is nor whose the thing
   * is, as `@` and `''`. Services' policy files have such rules where the service itself sees to whose things are.
   */
  asksNothing(name: string): boolean {
    return this.check(name, WITHOUT_ROLE, ANOTHERS);
  }

  /** The rule's name, and those of all rules that it refers to, also by others. */
  closure(name: string): string[] {
    const found = new Set([name]);
    for (const one of found) {
      const node = this.node(one);
      for (const other of node ? references(node) : []) found.add(other);
    }
    return [...found];
  }
}

function never(): boolean {
  return false;
}
