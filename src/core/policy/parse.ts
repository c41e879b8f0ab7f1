import { RuleSyntaxError, type RuleToken, tokenize } from './tokens.js';

/** One rule as a tree, before it becomes a function. */
export type RuleNode =
  | { readonly kind: 'true' }
  | { readonly kind: 'false' }
  | { readonly kind: 'not'; readonly node: RuleNode }
  | { readonly kind: 'and' | 'or'; readonly nodes: readonly RuleNode[] }
  /** `left:right`, where right may hold `%(name)s`. */
  | { readonly kind: 'check'; readonly left: string; readonly right: string };

/** Parentheses and `not`s within each other: far more than anybody reads, far less than what ends the stack. */
const DEEPEST = 100;

const TRUE: RuleNode = { kind: 'true' };
const FALSE: RuleNode = { kind: 'false' };

/**
 * Parses a rule of oslo.policy: text such as `role:admin or (role:member and project_id:%(project_id)s)`, or the older
 * list form (outer list: or, inner lists: and). `not` binds tightest, then `and`, then `or`. Throws a RuleSyntaxError that
 * says what is wrong where.
 */
export function parseRule(rule: unknown): RuleNode {
  if (typeof rule === 'string') return known.get(rule) ?? remember(rule, parseText(rule));
  if (Array.isArray(rule)) return parseList(rule);
  throw new Error(`a rule must be text or a list, not ${JSON.stringify(rule)}`);
}

/** Hundreds of policies share a few texts. */
const known = new Map<string, RuleNode>();
const MOST_KNOWN = 1000;

function remember(rule: string, node: RuleNode): RuleNode {
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(rule, node);
  return node;
}

function parseText(rule: string): RuleNode {
  return rule.trim() === '' ? TRUE : new Parser(rule).parse();
}

function parseList(rule: readonly unknown[]): RuleNode {
  if (rule.length === 0) return TRUE;
  return any(
    rule.map((inner) => {
      const checks = Array.isArray(inner) ? inner : [inner];
      return all(
        checks.map((check) => {
          if (typeof check !== 'string')
            throw new Error(`a check must be text, not ${JSON.stringify(check)}`);
          return parseCheck(check, { text: check.trim(), at: 0 });
        }),
      );
    }),
  );
}

function any(nodes: readonly RuleNode[]): RuleNode {
  return nodes.length === 1 ? nodes[0]! : { kind: 'or', nodes };
}

function all(nodes: readonly RuleNode[]): RuleNode {
  if (nodes.length === 0) return TRUE;
  return nodes.length === 1 ? nodes[0]! : { kind: 'and', nodes };
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly RuleToken[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  parse(): RuleNode {
    const node = this.#or();
    const left = this.#tokens[this.#at];
    if (left) this.#fail(`unexpected '${left.text}'${left.text === ')' ? '' : ": 'and' or 'or' is missing"}`);
    return node;
  }

  #or(): RuleNode {
    const nodes = [this.#and()];
    while (this.#take('or')) nodes.push(this.#and());
    return any(nodes);
  }

  #and(): RuleNode {
    const nodes = [this.#unary()];
    while (this.#take('and')) nodes.push(this.#unary());
    return all(nodes);
  }

  #unary(): RuleNode {
    if (++this.#depth > DEEPEST) {
      this.#fail(
        `more than ${DEEPEST} parentheses and 'not's within each other; give parts names of their own`,
      );
    }
    const node = this.#part();
    this.#depth--;
    return node;
  }

  #part(): RuleNode {
    if (this.#take('not')) return { kind: 'not', node: this.#unary() };
    if (this.#take('(')) {
      const node = this.#or();
      if (!this.#take(')')) this.#fail("')' is missing");
      return node;
    }
    const token = this.#tokens[this.#at];
    if (token === undefined) this.#fail('a check is missing at the end');
    if (token.text === ')' || isWord(token, 'and') || isWord(token, 'or')) {
      this.#fail(`a check is missing before '${token.text}'`);
    }
    this.#at++;
    return parseCheck(this.#text, token);
  }

  #take(word: string): boolean {
    const token = this.#tokens[this.#at];
    if (token === undefined || !isWord(token, word)) return false;
    this.#at++;
    return true;
  }

  #fail(reason: string): never {
    throw new RuleSyntaxError(this.#text, this.#tokens[this.#at]?.at ?? this.#text.length, reason);
  }
}

function isWord(token: RuleToken, word: string): boolean {
  return token.text.toLowerCase() === word;
}

function parseCheck(text: string, { text: check, at }: RuleToken): RuleNode {
  if (check === '@') return TRUE;
  if (check === '!') return FALSE;
  const colon = splitAt(check);
  if (colon <= 0) throw new RuleSyntaxError(text, at, `'${check}' is not of the form kind:match`);
  const left = check.slice(0, colon);
  if (left === 'http' || left === 'https') {
    throw new RuleSyntaxError(text, at, `'${check}': asking a remote server is not supported`);
  }
  return { kind: 'check', left, right: check.slice(colon + 1) };
}

/** The colon between kind and match: the first one outside quotes. */
function splitAt(check: string): number {
  const quote = check[0];
  if (quote === "'" || quote === '"') return check.indexOf(':', check.indexOf(quote, 1));
  return check.indexOf(':');
}
