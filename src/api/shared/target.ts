import type { PolicyTarget } from '../../core/context.js';
import type { OpRequest } from './operation.js';

/** Looks up the thing that a request is about, for rules; undefined when it is about none, or there is none. */
export type FindTarget = (request: OpRequest) => Promise<PolicyTarget | undefined>;

/** That a thing is in the project of the token is seen to when it is looked up: rules about no more need not see it before. */
const KNOWN = new Set(['project_id', 'tenant_id']);

/**
 * The target that a policy's rule is to be checked against, when the rule looks at more than the project: the thing itself.
 * None of the default rules does, so that nothing is read twice unless somebody asked for it.
 */
export async function objectTarget(
  find: FindTarget | undefined,
  request: OpRequest,
  policy: string,
): Promise<PolicyTarget | undefined> {
  if (!find) return undefined;
  for (const name of request.app.policy.targetNames(policy)) {
    if (!KNOWN.has(name)) return await find(request);
  }
  return undefined;
}
