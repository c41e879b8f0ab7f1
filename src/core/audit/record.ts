import type { AuditCarrier, AuditRow } from '../../store/audit.js';
import { withoutNul } from '../../store/without-nul.js';
import type { PolicyTarget, TokenInfo } from '../context.js';
import type { UserClaim } from './claim.js';
import { detailText } from './detail.js';
import { newAuditId } from './id.js';

/** What is known about a request, or an event, besides who and when. */
export interface AuditNote {
  /** What it is about; names are kept, as it may be gone later. */
  readonly target?: {
    /** As in trails where it leaves one: `server`, `security-group`; else `user`, `role`, `policy` … */
    readonly type?: string;
    readonly id?: string | null;
    readonly name?: string | null;
    readonly projectId?: string | null;
  };
  /** Whom a request without a valid token says that it comes from, and who is known to exist. */
  readonly user?: {
    readonly id: string;
    readonly name?: string;
    readonly domain?: { readonly id: string; readonly name?: string };
  };
  /** Why it was refused; overrides the message that the client gets. */
  readonly reason?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** A request as it comes. */
export interface AskedRequest {
  readonly service: string;
  readonly action: string;
  readonly method: string;
  readonly path: string;
  readonly requestId: string;
  /** The id that the client gave. */
  readonly globalRequestId: string | null;
  readonly address: string;
  /** It asks for a token, and changes nothing. */
  readonly login: boolean;
}

/** What the request and its answer say that it is about. */
export interface RequestTarget {
  readonly type: string | null;
  readonly id: string | null;
  readonly name: string | null;
  readonly projectId: string | null;
}

const NOTHING: RequestTarget = { type: null, id: null, name: null, projectId: null };

const LONGEST = { path: 300, reason: 500, text: 255 } as const;

/** The record of one request, from its beginning to its end. */
export class RequestRecord implements AuditCarrier {
  readonly row: AuditRow;
  /** It is in the database already. */
  stored = false;
  /** A transaction has committed without the record. */
  changed = false;
  /** Whoever asks has shown no token, or none is needed: what it asks for must not fill the disk. */
  unauthenticated = true;
  readonly login: boolean;
  presumed: RequestTarget = NOTHING;
  /** Whom a failed login names. */
  claim: UserClaim | null = null;
  #noted = false;
  #checked = false;
  #allowed = false;
  #carrying = false;
  #detail: Record<string, unknown> = {};
  #ownReason = false;

  constructor(asked: AskedRequest) {
    this.login = asked.login;
    this.row = {
      ...emptyRow(),
      service: asked.service,
      action: asked.action,
      method: asked.method,
      path: cut(asked.path, LONGEST.path),
      request_id: asked.requestId,
      global_request_id: asked.globalRequestId,
      address: asked.address,
      outcome: 'begun',
    };
  }

  /** What it is about as far as the path tells. */
  presume(target: RequestTarget): void {
    this.presumed = target;
    this.#setTarget(target);
  }

  /** What it is about as the answer tells; what was noted tells better. */
  found(target: RequestTarget): void {
    const { target_project_id } = this.row;
    if (this.#noted) return;
    this.#setTarget(target);
    this.row.target_project_id ??= target_project_id;
  }

  /** The policy is looked at, for a found thing when there is one. The first names the action, and whose the thing is. */
  checks(policy: string, target: PolicyTarget | undefined): void {
    const { row } = this;
    if (!this.#checked || row.action.endsWith(':action')) row.action = policy;
    this.#checked = true;
    const project = target?.project_id ?? target?.tenant_id;
    if (typeof project === 'string' && project !== '') row.target_project_id ??= project;
  }

  /** A token was issued: whose it is. */
  issued(token: TokenInfo): void {
    this.by(token, false);
    this.#setTarget({ ...NOTHING, type: 'token', id: token.audit_ids[0] ?? null });
  }

  /** Whose token came with it. `needed`: the operation is not open to everybody. */
  by(token: TokenInfo, needed: boolean): void {
    const { row } = this;
    const { user, project, domain, system } = token;
    if (user.id === '') return;
    this.unauthenticated = !needed;
    row.user_id = user.id;
    row.user_name = user.name;
    row.user_domain_id = user.domain.id;
    row.user_domain_name = user.domain.name;
    row.scope = project ? 'project' : domain ? 'domain' : system ? 'system' : 'unscoped';
    row.project_id = project?.id ?? null;
    row.project_name = project?.name ?? null;
    row.domain_id = project?.domain.id ?? domain?.id ?? null;
    row.domain_name = project?.domain.name ?? domain?.name ?? null;
    row.application_credential_id = token.application_credential?.id ?? null;
    row.trust_id = token.trust?.id ?? null;
    row.token_audit_id = token.audit_ids[0] ?? null;
    if (token.trust?.impersonation) this.#addDetail({ trustee_user_id: token.trust.trustee_user.id });
  }

  /** It is allowed: from now on its first transaction carries the record. */
  allow(): void {
    this.#allowed = !this.unauthenticated && !this.login;
  }

  note({ target, user, reason, detail }: AuditNote): void {
    const { row } = this;
    if (target) this.#noted = true;
    if (target?.type !== undefined) row.target_type = cut(target.type, LONGEST.text);
    if (target?.id !== undefined) row.target_id = cut(target.id, LONGEST.text);
    if (target?.name !== undefined) row.target_name = cut(target.name, LONGEST.text);
    if (target?.projectId !== undefined) row.target_project_id = cut(target.projectId, LONGEST.text);
    if (user && this.unauthenticated) {
      row.user_id = user.id;
      row.user_name = user.name ?? null;
      row.user_domain_id = user.domain?.id ?? null;
      row.user_domain_name = user.domain?.name ?? null;
    }
    if (reason !== undefined) {
      row.reason = cut(reason, LONGEST.reason);
      this.#ownReason = true;
    }
    if (detail) this.#addDetail(detail);
  }

  /** How it was answered. */
  answered(status: number, reason: string | null): void {
    this.row.status = status;
    this.row.outcome = outcomeOf(status);
    // a transaction may have committed before it failed; what was answered well may have found nothing to change
    const committed = this.stored || (this.changed && (status < 400 || !this.unauthenticated));
    this.row.changed = Number(committed && !(status < 400 && this.login));
    if (!this.#ownReason) this.row.reason = cut(reason, LONGEST.reason);
  }

  offer(): AuditRow | null {
    if (!this.#allowed || this.stored || this.#carrying) return null;
    this.#carrying = true;
    return this.row;
  }

  ended({ committed, carried }: { readonly committed: boolean; readonly carried: boolean }): void {
    if (carried) {
      this.#carrying = false;
      this.stored ||= committed;
    } else if (committed && !this.stored) this.changed = true;
  }

  #setTarget({ type, id, name, projectId }: RequestTarget): void {
    const { row } = this;
    row.target_type = cut(type, LONGEST.text);
    row.target_id = cut(id, LONGEST.text);
    row.target_name = cut(name, LONGEST.text);
    row.target_project_id = cut(projectId, LONGEST.text);
  }

  #addDetail(more: Readonly<Record<string, unknown>>): void {
    Object.assign(this.#detail, more);
    this.row.detail = detailText(this.#detail);
  }
}

/** The record of what happened without a request. */
export function recordOf(
  event: AuditNote & { readonly action: string; readonly outcome?: string },
): AuditRow {
  const { action, outcome, target, user, reason, detail } = event;
  return {
    ...emptyRow(),
    service: 'controller',
    action,
    outcome: outcome ?? 'succeeded',
    reason: cut(reason, LONGEST.reason),
    user_id: user?.id ?? null,
    user_name: user?.name ?? null,
    user_domain_id: user?.domain?.id ?? null,
    user_domain_name: user?.domain?.name ?? null,
    target_type: cut(target?.type, LONGEST.text),
    target_id: cut(target?.id, LONGEST.text),
    target_name: cut(target?.name, LONGEST.text),
    target_project_id: cut(target?.projectId, LONGEST.text),
    detail: detail ? detailText(detail) : null,
  };
}

/** 4xx: the answer was no, and nothing has changed. 5xx: it went wrong. */
function outcomeOf(status: number): string {
  return status < 400 ? 'succeeded' : status < 500 ? 'refused' : 'failed';
}

/** A record of nothing yet, at this time. */
export function emptyRow(): AuditRow {
  const now = Date.now();
  const at = new Date(now).toISOString();
  return {
    id: newAuditId(now),
    at,
    last_at: at,
    repeats: 1,
    service: '',
    action: '',
    outcome: '',
    changed: 1,
    status: null,
    reason: null,
    method: null,
    path: null,
    request_id: null,
    global_request_id: null,
    user_id: null,
    user_name: null,
    user_domain_id: null,
    user_domain_name: null,
    scope: null,
    project_id: null,
    project_name: null,
    domain_id: null,
    domain_name: null,
    application_credential_id: null,
    trust_id: null,
    token_audit_id: null,
    address: null,
    target_type: null,
    target_id: null,
    target_name: null,
    target_project_id: null,
    detail: null,
  };
}

function cut(text: string | null | undefined, length: number): string | null {
  if (text === null || text === undefined) return null;
  const clean = withoutNul(text);
  return clean.length > length ? `${clean.slice(0, length)}…` : clean;
}
