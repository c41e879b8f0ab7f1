/** A name with an id, as tokens carry them. */
export interface NamedRef {
  readonly id: string;
  readonly name: string;
}

/** What a valid token says. Times are ISO 8601. */
export interface TokenInfo {
  readonly user: NamedRef & { readonly domain: NamedRef; readonly password_expires_at: string | null };
  readonly methods: readonly string[];
  readonly audit_ids: readonly string[];
  readonly issued_at: string;
  readonly expires_at: string;
  readonly project: (NamedRef & { readonly domain: NamedRef }) | null;
  readonly domain: NamedRef | null;
  readonly system: { readonly all: true } | null;
  readonly is_domain: boolean;
  readonly roles: readonly NamedRef[];
}

/** The attributes of a thing that a policy rule may refer to as `%(name)s`. */
export type PolicyTarget = Readonly<Record<string, unknown>>;

/**
 * Who asks, and under which request id: passed to every core function. `allows` evaluates a named rule without refusing;
 * `authorize` throws a 403 in the caller's words.
 */
export interface Context {
  readonly requestId: string;
  readonly token: TokenInfo;
  readonly userId: string;
  /** Project of the token's scope; empty for domain, system and unscoped tokens. */
  readonly projectId: string;
  /** True when the token satisfies the rule `context_is_admin`. */
  readonly isAdmin: boolean;
  allows(policy: string, target?: PolicyTarget): boolean;
  authorize(policy: string, target?: PolicyTarget): void;
}
