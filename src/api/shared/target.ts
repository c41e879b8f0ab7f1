import type { Context, PolicyTarget } from '../../core/context.js';
import { ownTarget } from '../../core/policy/target.js';
import { contextAbout } from './context.js';
import type { OpRequest } from './operation.js';

/** Looks up the thing that a request is about, for rules; undefined when it is about none, or there is none. */
export type FindTarget = (request: OpRequest) => Promise<PolicyTarget | undefined>;

/** How the things of a service are found. */
export interface Things {
  /** Absent: rules look at none. */
  readonly objectTarget?: FindTarget;
  /** Whether the thing, another project's, is shared with the token's. Absent: none ever is. */
  readonly isShared?: (request: OpRequest, target: PolicyTarget) => Promise<boolean>;
}

/**
 * Judges a request by a policy; 403 when its rule does not allow it. Gives the context to go on with, which reaches the thing that
 * the request is about where that is another project's and the rule allows it for that thing. A rule that asks nothing allows it for
 * no other project's: it leaves whose things are to the look-up.
 *
 * What is in force as it was declared lets nobody but administrators beyond their own project, which the look-up of the thing sees
 * to, so that it is read twice only where somebody has set a rule. What is another project's, and not allowed, is judged as what does
 * not exist: who lacks the role hears so, everybody else that it is not there. What is shared with the token's project is judged by
 * what it is, as if it were the caller's own.
 */
export async function judge(
  { objectTarget, isShared }: Things,
  request: OpRequest,
  policy: string,
): Promise<Context> {
  const { app, ctx } = request;
  const custom = objectTarget !== undefined && app.policy.isCustom(policy);
  const target = custom ? await objectTarget(request) : undefined;
  if (!target || target.project_id === ctx.projectId) {
    ctx.authorize(policy, target);
    return ctx;
  }
  if (ctx.isAdmin || (!app.policy.asksNothing(policy) && ctx.allows(policy, target))) {
    ctx.authorize(policy, target);
    return contextAbout(ctx, target);
  }
  const own = ownTarget(ctx.token);
  const shared = (await isShared?.(request, target)) ?? false;
  ctx.authorize(policy, shared ? { ...target, ...own } : own, target);
  return ctx;
}
