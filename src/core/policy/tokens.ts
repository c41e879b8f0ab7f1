/** A word or a parenthesis of a rule, and where it begins (characters from 0). */
export interface RuleToken {
  readonly text: string;
  readonly at: number;
}

/** A rule that cannot be read; `position` counts characters from 1. */
export class RuleSyntaxError extends Error {
  readonly position: number;

  constructor(rule: string, at: number, reason: string) {
    super(`policy rule '${rule}', character ${at + 1}: ${reason}`);
    this.name = 'RuleSyntaxError';
    this.position = at + 1;
  }
}

/**
 * Words and parentheses. A closing parenthesis ends a word unless it belongs to a `%(name)s`; quoted parts may hold blanks
 * and parentheses. Throws a RuleSyntaxError for a quote without its end.
 */
export function tokenize(text: string): RuleToken[] {
  const tokens: RuleToken[] = [];
  const pattern = /\s+|\(|\)|(?:%\([^)]*\)s|'[^']*'|"[^"]*"|[^\s()'"])+|['"]/gy;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) throw new RuleSyntaxError(text, at, 'cannot be read');
    const token = match[0];
    if (token === "'" || token === '"') throw new RuleSyntaxError(text, at, `unbalanced ${token}`);
    if (token.trim() !== '') tokens.push({ text: token, at });
  }
  return tokens;
}
