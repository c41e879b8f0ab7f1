import type { App } from '../../core/app.js';
import type { RequestRecord } from '../../core/audit/record.js';
import type { Context, PolicyTarget, TokenInfo } from '../../core/context.js';
import { forbidden } from '../../core/errors.js';
import { ownTarget } from '../../core/policy/target.js';

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
    allows,
    authorize(policy, target) {
      audit?.checks(policy, target);
      if (!allows(policy, target)) {
        throw forbidden(`Policy doesn't allow ${policy} to be performed.`, 'PolicyNotAuthorized');
      }
    },
  };
}
