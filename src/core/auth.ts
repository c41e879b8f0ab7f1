import type { PolicyTarget, TokenInfo } from './context.js';

/** Turns a token's text into what it says; null when it is malformed, expired, revoked or its subject is disabled. */
export interface Authenticator {
  authenticate(token: string): Promise<TokenInfo | null>;
}

/** Evaluates named rules in oslo.policy's language. */
export interface PolicyEngine {
  /** Makes a rule known with its default; called for every declared operation at start. */
  register(name: string, defaultRule: string): void;
  /** True when the rule allows the token's holder to act on the target. An unknown name denies. */
  check(name: string, token: TokenInfo, target: PolicyTarget): boolean;
}
