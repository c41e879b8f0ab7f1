import type { App } from '../../core/app.js';
import type { RequestRecord } from '../../core/audit/record.js';
import type { Context, PolicyTarget, TokenInfo } from '../../core/context.js';
import { forbidden } from '../../core/errors.js';
import { ANOTHERS, ownTarget } from '../../core/policy/target.js';

/** The token of a request that has none: rights to nothing. */
export const ANONYMOUS: TokenInfo = {
  user: { id: '', name: '', domain: { id: '', name: '' }, password_expires_at: null },
  methods: [],
  audit_ids: [],
  issued_at: '',
  expires_at: '',
  project: null,
  domain: null,
  system: null,
  is_domain: false,
  roles: [],
};

/** The context of one request; `audit`: its record, if it has one. */
export function createContext(
  app: App,
  token: TokenInfo,
  requestId: string,
  audit: RequestRecord | null = null,
): Context {
  const projectId = token.project?.id ?? '';
  const own = ownTarget(token);
  let isAdmin: boolean | undefined;
  const allows = (policy: string, target: PolicyTarget = own) => app.policy.check(policy, token, target);
  return {
    requestId,
    token,
    userId: token.user.id,
    projectId,
    get isAdmin() {
      isAdmin ??= allows('context_is_admin');
      return isAdmin;
    },
    reaches(id) {
      return (id !== '' && id === projectId) || this.isAdmin;
    },
    listScope(policy) {
      // lists are one query: a rule that would have to look at each of their things opens none of other projects, nor does one that asks nothing
      const one = app.policy.excludes(policy) || app.policy.asksNothing(policy);
      return (one ? this.isAdmin : allows(policy, ANOTHERS)) ? null : projectId;
    },
    allows,
    authorize(policy, target, thing = target) {
      audit?.checks(policy, thing);
      if (!allows(policy, target)) {
        throw forbidden(`Policy doesn't allow ${policy} to be performed.`, 'PolicyNotAuthorized');
      }
    },
  };
}

/** The context of a request about this thing, which is another project's and which the policy's rule allows it for. */
export function contextAbout(ctx: Context, target: PolicyTarget): Context {
  return withTarget(ctx, target, (projectId) => projectId !== '' && projectId === target.project_id);
}

/** The context in which the things of all projects are listed. */
export function contextOfAll(ctx: Context): Context {
  return ctx.isAdmin ? ctx : withTarget(ctx, ANOTHERS, () => true);
}

/** What is asked besides, of attributes say, is about that thing, too, and not about one of the caller's own. */
function withTarget(ctx: Context, target: PolicyTarget, reaches: (projectId: string) => boolean): Context {
  return {
    ...ctx,
    reaches: (projectId) => ctx.reaches(projectId) || reaches(projectId),
    allows: (policy, other = target) => ctx.allows(policy, other),
    authorize: (policy, other = target, thing = other) => ctx.authorize(policy, other, thing),
  };
}
