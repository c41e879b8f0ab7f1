import type { PolicyTarget, TokenInfo } from '../context.js';

/** A target that belongs to the token's own project and user: rules against it are about roles. */
export function ownTarget(token: TokenInfo): PolicyTarget {
  const projectId = token.project?.id ?? '';
  return { project_id: projectId, tenant_id: projectId, user_id: token.user.id };
}
