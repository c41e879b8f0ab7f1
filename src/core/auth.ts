import type { PolicyTarget, TokenInfo } from './context.js';

/** Turns a token's text into what it says; null when it is malformed, expired, revoked or its subject is disabled. */
export interface Authenticator {
  authenticate(token: string): Promise<TokenInfo | null>;
}

/** An operation that a policy governs. */
export interface PolicyUse {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
}

/** Evaluates named rules in oslo.policy's language. */
export interface PolicyEngine {
  /** Raised with every change of the rules in force. */
  readonly revision: number;
  /** Makes a rule known with its default; called for every declared operation at start. `use`: what it governs. */
  register(name: string, defaultRule: string, use?: PolicyUse): void;
  /** True when the rule allows the token's holder to act on the target. An unknown name denies. */
  check(name: string, token: TokenInfo, target: PolicyTarget): boolean;
  /** True when the rule in force is not the declared one. */
  isOverridden(name: string): boolean;
  /** True when the rule in force, or one that it refers to, is not the declared one. */
  isCustom(name: string): boolean;
  /** True when the rule denies something for what it is: that it allows things in general is not said of each. */
  excludes(name: string): boolean;
  /** True when the rule allows even a token without any role what is another project's: it reaches nothing beyond the own project. */
  asksNothing(name: string): boolean;
  /** Attributes of the target that the rule, with all that it refers to, looks at. */
  targetNames(name: string): ReadonlySet<string>;
}
