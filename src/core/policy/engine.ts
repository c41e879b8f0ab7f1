import type { PolicyEngine, PolicyUse } from '../auth.js';
import type { PolicyTarget, TokenInfo } from '../context.js';
import { readPolicyFile } from './file.js';
import { findProblems, isMisspelt, type PolicyProblem, type Rules, unknownNames } from './problems.js';
import { RuleSet } from './rule-set.js';
import { BASE_RULES } from './rules.js';

/** Where the rule in force comes from: what is named later replaces what is named before. */
export type PolicySource = 'default' | 'file' | 'database';

/** One policy, for listings. */
export interface PolicyEntry {
  readonly name: string;
  /** The rule in force. */
  readonly rule: unknown;
  readonly source: PolicySource;
  /** Null for a name of the operator's own, which other rules refer to. */
  readonly default: string | null;
  /** The rule of the policy file, also when the database replaces it. */
  readonly file: unknown;
  readonly uses: readonly PolicyUse[];
}

const DENY = '!';

/**
 * Evaluates named rules. The operator's file replaces the declared defaults, and what was set through the API replaces both.
 * What a check costs does not depend on where its rule comes from.
 */
export class RulePolicy implements PolicyEngine {
  readonly #defaults = new Map<string, string>(Object.entries(BASE_RULES));
  readonly #uses = new Map<string, PolicyUse[]>();
  #file: string | null;
  #fromFile: Rules;
  #stored: Rules = new Map();
  #rules = new RuleSet();

  /** Reads the file. Throws with the file and the rule when it cannot be read. */
  constructor(file: string | null) {
    this.#file = file;
    this.#fromFile = readPolicyFile(file);
    this.#rules = compile(this.effective());
  }

  register(name: string, defaultRule: string, use?: PolicyUse): void {
    if (use) this.#uses.set(name, [...(this.#uses.get(name) ?? []), use]);
    const before = this.#defaults.get(name);
    if (before === defaultRule) return;
    if (before !== undefined) {
      throw new Error(`policy ${name} is declared twice: '${before}' and '${defaultRule}'`);
    }
    this.#defaults.set(name, defaultRule);
    this.#rules.put(name, this.#stored.get(name) ?? this.#fromFile.get(name) ?? defaultRule);
  }

  /**
   * Checks the whole once every operation is registered: no misspelt name in the file, no reference to a rule that does not
   * exist, no rule that refers to itself. Throws with the first that is wrong.
   */
  verify(): void {
    this.#verify(this.#file, this.#fromFile);
  }

  check(name: string, token: TokenInfo, target: PolicyTarget): boolean {
    return this.#rules.check(name, token, target);
  }

  targetNames(name: string): ReadonlySet<string> {
    return this.#rules.targetNames(name);
  }

  isOverridden(name: string): boolean {
    return this.#stored.has(name) || this.#fromFile.has(name);
  }

  /** Reads the file, or another, again; on an error, which is thrown, the rules stay as they were. */
  reload(file = this.#file): void {
    const fromFile = readPolicyFile(file);
    this.#verify(file, fromFile);
    this.#file = file;
    this.#fromFile = fromFile;
    this.#rules = compile(this.effective());
  }

  /**
   * Takes what was set through the API. It was checked when it was set, but this release or this controller's file may lack
   * what it refers to: such rules then deny, and are returned with the reason. Rules for names that nothing has are left out.
   */
  replaceStored(stored: Rules): readonly PolicyProblem[] {
    const unused = unknownNames(stored, this.#known());
    const kept = new Map(stored);
    for (const { name } of unused) kept.delete(name);
    const broken = findProblems(this.effective(kept));
    for (const { name } of broken) kept.set(name, DENY);
    this.#stored = kept;
    this.#rules = compile(this.effective());
    return [...unused, ...broken];
  }

  /** Every name with its rule, were these the stored ones. */
  effective(stored: Rules = this.#stored, fromFile: Rules = this.#fromFile): Map<string, unknown> {
    const rules = new Map<string, unknown>(this.#defaults);
    for (const layer of [fromFile, stored]) for (const [name, rule] of layer) rules.set(name, rule);
    return rules;
  }

  /** What is wrong with rules that are to be stored; `declared`: names that may be new, for other rules to refer to. */
  problemsOf(stored: Rules, declared: ReadonlySet<string> = new Set()): PolicyProblem[] {
    const unknown = unknownNames(stored, this.#known()).filter(({ name }) => !declared.has(name));
    return [...unknown, ...findProblems(this.effective(stored))];
  }

  /** The rules as they would be, for trying; throws when one of them cannot be read. */
  candidate(stored: Rules): RuleSet {
    return compile(this.effective(stored));
  }

  /** What is stored and in force. */
  stored(): Rules {
    return this.#stored;
  }

  /** Every policy with the rule in force, by name. */
  list(): PolicyEntry[] {
    return [...this.effective()]
      .map(([name, rule]) => ({
        name,
        rule,
        source: this.#sourceOf(name),
        default: this.#defaults.get(name) ?? null,
        file: this.#fromFile.get(name) ?? null,
        uses: this.#uses.get(name) ?? [],
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Names in the policy file that nothing here has, as in a file written for more services than there are. */
  unusedFileNames(): string[] {
    return unknownNames(this.#fromFile, this.#defaults).map(({ name }) => name);
  }

  #sourceOf(name: string): PolicySource {
    if (this.#stored.has(name)) return 'database';
    return this.#fromFile.has(name) ? 'file' : 'default';
  }

  /** Names that a stored rule may have: those of operations, and those that the file brings. */
  #known(): Map<string, string> {
    return new Map([...this.#defaults, ...[...this.#fromFile.keys()].map((name) => [name, ''] as const)]);
  }

  #verify(file: string | null, fromFile: Rules): void {
    for (const { name, message } of unknownNames(fromFile, this.#defaults)) {
      if (isMisspelt(name, this.#defaults.keys())) throw new Error(`policy file ${file}: ${message}`);
    }
    const [first] = findProblems(this.effective(this.#stored, fromFile));
    if (first) throw new Error(first.message);
  }
}

function compile(rules: Rules): RuleSet {
  const set = new RuleSet();
  for (const [name, rule] of rules) set.put(name, rule);
  return set;
}
