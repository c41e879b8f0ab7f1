import type { PolicyTarget, TokenInfo } from '../context.js';

/** A target that belongs to the token's own project and user: rules against it are about roles. */
export function ownTarget(token: TokenInfo): PolicyTarget {
  const projectId = token.project?.id ?? '';
  return { project_id: projectId, tenant_id: projectId, user_id: token.user.id };
}

/**
 * A thing of some other project and user, of which nothing more is known: what a rule allows for it, it allows for the things of all
 * projects.
 */
export const ANOTHERS: PolicyTarget = {
  project_id: 'another project',
  tenant_id: 'another project',
  user_id: 'another user',
};

/** What rules of identity call the owner of a thing, the project and the domain that it is about. */
const USER = [
  'target.user.id',
  'target.credential.user_id',
  'target.token.user_id',
  'target.trust.trustor_user_id',
];
const PROJECT = ['target.project.id', 'target.limit.project_id'];
const DOMAIN = ['domain_id', 'target.domain.id', 'target.domain_id', 'target.group.domain_id'];
const PROJECT_DOMAIN = ['target.project.domain_id', 'target.limit.project.domain_id'];

/**
 * A target to imagine: a thing of the token's own user, project and domain, of which `given` attributes replace those that it would
 * have, under every name that they go by. `wanted` are the attributes that the rule looks at. For trying rules only: requests are
 * checked against what they are about.
 */
export function imaginedTarget(
  token: TokenInfo,
  given: PolicyTarget,
  wanted: { readonly names: ReadonlySet<string>; readonly identity: boolean },
): PolicyTarget {
  const project = given.project_id ?? given.tenant_id;
  const base: PolicyTarget = {
    ...ownTarget(token),
    ...(project !== undefined && { project_id: project, tenant_id: project }),
    ...given,
  };
  if (!wanted.identity) return base;
  const domain = given.domain_id ?? (token.domain ?? token.project?.domain ?? token.user.domain).id;
  const things = [
    ...USER.map((name) => [name, base.user_id]),
    ...PROJECT.map((name) => [name, base.project_id]),
    ...DOMAIN.map((name) => [name, domain]),
    ...PROJECT_DOMAIN.map((name) => [name, token.project?.domain.id ?? domain]),
    ['target.user.domain_id', token.user.domain.id],
  ].filter(([name, value]) => wanted.names.has(String(name)) && value !== '');
  return { ...Object.fromEntries(things), ...base };
}
