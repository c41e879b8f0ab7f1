import { MaruError } from '../errors.js';
import { optionOf } from './options.js';

/** The caller has proved to be the user, but by fewer methods than the user's rules want. */
export class InsufficientAuthMethods extends MaruError {
  readonly userId: string;
  /** Methods that succeeded. */
  readonly methods: readonly string[];

  constructor(userId: string, methods: readonly string[]) {
    super('unauthorized', 'The request you have made requires authentication with further methods.');
    this.userId = userId;
    this.methods = methods;
  }
}

/**
 * Rules of a user (`multi_factor_auth_rules`) as far as they name methods that there are; none when they are switched off. Rules
 * of unknown methods only would lock the user out, and are left out as Keystone does it.
 */
export function factorRules(
  user: { readonly options: string },
  isMethod: (name: string) => boolean,
): string[][] {
  if (optionOf(user, 'multi_factor_auth_enabled') === false) return [];
  return (optionOf(user, 'multi_factor_auth_rules') ?? [])
    .map((rule) => rule.filter(isMethod))
    .filter((rule) => rule.length > 0);
}

/** True when the methods satisfy one of the rules, or there is none. */
export function satisfies(rules: readonly (readonly string[])[], methods: readonly string[]): boolean {
  return rules.length === 0 || rules.some((rule) => rule.every((method) => methods.includes(method)));
}
