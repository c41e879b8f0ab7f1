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
  /** Set for tokens got by an application credential; access rules list the only requests it may make. */
  readonly application_credential?: NamedRef & {
    readonly restricted: boolean;
    readonly access_rules?: readonly AccessRule[];
  };
  /** Set for tokens got by a trust. */
  readonly trust?: {
    readonly id: string;
    readonly impersonation: boolean;
    readonly trustor_user: { readonly id: string };
    readonly trustee_user: { readonly id: string };
  };
  /** Set for tokens that a consumer got by an OAuth1 access token. */
  readonly oauth1?: { readonly access_token_id: string; readonly consumer_id: string };
}

/** A request that is allowed: service type, method, and path with `*` for one segment and `**` for any. */
export interface AccessRule {
  readonly id: string;
  readonly service: string;
  readonly method: string;
  readonly path: string;
}

/** The attributes of a thing that a policy rule may refer to as `%(name)s`. */
export type PolicyTarget = Readonly<Record<string, unknown>>;

/**
 * Who asks, and under which request id: passed to every core function. `allows` evaluates a named rule without refusing;
 * `authorize` throws a 403 in the caller's words. Without a target they are about the thing in the path where that is another project's,
 * else about one of the token's own project and user.
 */
export interface Context {
  readonly requestId: string;
  readonly token: TokenInfo;
  readonly userId: string;
  /** Project of the token's scope; empty for domain, system and unscoped tokens. */
  readonly projectId: string;
  /** True when the token satisfies the rule `context_is_admin`. */
  readonly isAdmin: boolean;
  /**
   * True for the projects whose things this request may be about: the token's own; the one of the thing in the path, where the
   * policy's rule allows it for that thing; all for administrators.
   */
  reaches(projectId: string): boolean;
  /** Whose things a list shows that this policy governs: null for everybody's, else a project's. */
  listScope(policy: string): string | null;
  allows(policy: string, target?: PolicyTarget): boolean;
  /** `thing`: what the audit record names, where the rule is asked about something else. */
  authorize(policy: string, target?: PolicyTarget, thing?: PolicyTarget): void;
}
