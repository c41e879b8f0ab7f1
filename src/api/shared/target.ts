import type { Context, PolicyTarget } from '../../core/context.js';
import { ownTarget } from '../../core/policy/target.js';
import { contextAbout } from './context.js';
import type { OpRequest } from './operation.js';

/** Looks up the thing that a request is about, for rules; undefined when it is about none, or there is none. */
export type FindTarget = (request: OpRequest) => Promise<PolicyTarget | undefined>;

/**
 * Judges a request by a policy; 403 when its rule does not allow it. Gives the context to go on with, which reaches the thing that
 * the request is about where that is another project's and the rule allows it for that thing.
 *
 * What is in force as it was declared lets nobody but administrators beyond their own project, which the look-up of the thing sees
 * to, so that it is read twice only where somebody has set a rule. What is another project's, and not allowed, is judged as if it
 * were the caller's own: who lacks the role hears so, everybody else that it does not exist, unless it is shared with him.
 */
export async function judge(
  find: FindTarget | undefined,
  request: OpRequest,
  policy: string,
): Promise<Context> {
  const { app, ctx } = request;
  const custom = find !== undefined && app.policy.isCustom(policy);
  const target = custom ? await find(request) : undefined;
  if (!target || target.project_id === ctx.projectId) {
    ctx.authorize(policy, target);
    return ctx;
  }
  if (ctx.isAdmin || ctx.allows(policy, target)) {
    ctx.authorize(policy, target);
    return contextAbout(ctx, target);
  }
  ctx.authorize(policy, { ...target, ...ownTarget(ctx.token) }, target);
  return ctx;
}
