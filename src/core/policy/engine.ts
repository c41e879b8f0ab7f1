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

/** What was set through the API. */
export interface StoredRules {
  readonly rules: Rules;
  /** Names of the operator's own, which no operation has. */
  readonly own: ReadonlySet<string>;
}

/** A rule of the policy file that is not what it was; null: the file has none. */
export interface FileChange {
  readonly name: string;
  readonly old: unknown;
  readonly new: unknown;
}

const NOTHING: StoredRules = { rules: new Map(), own: new Set() };
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
  #stored = NOTHING;
  #rules = new RuleSet();
  revision = 0;
  /** Whether a rule depends on one that is not the declared one; forgotten when there are other rules. */
  readonly #custom = new Map<string, boolean>();

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
    this.#custom.clear();
    this.#rules.put(name, this.#stored.rules.get(name) ?? this.#fromFile.get(name) ?? defaultRule);
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

  excludes(name: string): boolean {
    return this.#rules.excludes(name);
  }

  asksNothing(name: string): boolean {
    return this.#rules.asksNothing(name);
  }

  isOverridden(name: string): boolean {
    return this.#stored.rules.has(name) || this.#fromFile.has(name);
  }

  isCustom(name: string): boolean {
    let custom = this.#custom.get(name);
    if (custom === undefined) {
      custom = this.#rules.closure(name).some((one) => this.isOverridden(one));
      this.#custom.set(name, custom);
    }
    return custom;
  }

  /**
   * Reads the file, or another, again, and returns what it says otherwise than before; on an error, which is thrown, the rules stay
   * as they were.
   */
  reload(file = this.#file): readonly FileChange[] {
    const fromFile = readPolicyFile(file);
    this.#verify(file, fromFile);
    const changes = differences(this.#fromFile, fromFile);
    this.#file = file;
    this.#fromFile = fromFile;
    this.#use(compile(this.effective()));
    return changes;
  }

  /**
   * Takes what was set through the API. It was checked when it was set, but this release or this controller's file may lack
   * what it refers to: such rules then deny, and are returned with the reason. Rules for names that nothing has are left out.
   */
  replaceStored(stored: StoredRules): readonly PolicyProblem[] {
    const { usable, problems } = this.#settle(stored);
    this.#stored = { ...stored, rules: usable };
    this.#use(compile(this.effective()));
    return problems;
  }

  /** Every name with its rule, were these the stored ones. */
  effective(stored: Rules = this.#stored.rules, fromFile: Rules = this.#fromFile): Map<string, unknown> {
    const rules = new Map<string, unknown>(this.#defaults);
    for (const layer of [fromFile, stored]) for (const [name, rule] of layer) rules.set(name, rule);
    return rules;
  }

  /** What is wrong with rules that are to be stored, or are. */
  problemsOf(stored: StoredRules): PolicyProblem[] {
    return [...this.#unused(stored), ...findProblems(this.effective(stored.rules))];
  }

  /** The rules as they would be with these stored ones, for trying. Those that are wrong deny. */
  candidate(stored: StoredRules): RuleSet {
    return compile(this.effective(this.#settle(stored).usable));
  }

  /** The stored rules that are in force. */
  get stored(): StoredRules {
    return this.#stored;
  }

  /** True for a name that an operation or a base rule has, so that it needs no declaration. */
  isDeclared(name: string): boolean {
    return this.#defaults.has(name);
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

  #use(rules: RuleSet): void {
    this.#rules = rules;
    this.#custom.clear();
    this.revision++;
  }

  #unused({ rules, own }: StoredRules): PolicyProblem[] {
    // what the file brings may be replaced, too
    const known = new Map(this.#defaults);
    for (const name of [...this.#fromFile.keys(), ...own]) known.set(name, '');
    return unknownNames(rules, known);
  }

  #settle(stored: StoredRules): { usable: Rules; problems: readonly PolicyProblem[] } {
    const unused = this.#unused(stored);
    const usable = new Map(stored.rules);
    for (const { name } of unused) usable.delete(name);
    const broken = findProblems(this.effective(usable));
    for (const { name } of broken) usable.set(name, DENY);
    return { usable, problems: [...unused, ...broken] };
  }

  #sourceOf(name: string): PolicySource {
    if (this.#stored.rules.has(name)) return 'database';
    return this.#fromFile.has(name) ? 'file' : 'default';
  }

  #verify(file: string | null, fromFile: Rules): void {
    for (const { name, message } of unknownNames(fromFile, this.#defaults)) {
      if (isMisspelt(name, this.#defaults.keys())) throw new Error(`policy file ${file}: ${message}`);
    }
    const [first] = findProblems(this.effective(this.#stored.rules, fromFile));
    if (first) throw new Error(first.message);
  }
}

function differences(before: Rules, after: Rules): FileChange[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((name) => ({ name, old: before.get(name) ?? null, new: after.get(name) ?? null }))
    .filter((change) => JSON.stringify(change.old) !== JSON.stringify(change.new));
}

function compile(rules: Rules): RuleSet {
  const set = new RuleSet();
  for (const [name, rule] of rules) set.put(name, rule);
  return set;
}
