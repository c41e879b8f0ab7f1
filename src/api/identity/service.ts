import type { App } from '../../core/app.js';
import type { Service } from '../shared/service.js';
import { applicationCredentialOperations } from './application-credentials.js';
import { assignmentOperations } from './assignments.js';
import { catalogOperations } from './catalog.js';
import { credentialOperations } from './credentials.js';
import { domainConfigOperations } from './domain-config.js';
import { domainOperations } from './domains.js';
import { ec2CredentialOperations } from './ec2-credentials.js';
import { ec2TokenOperations } from './ec2-tokens.js';
import { endpointFilterOperations } from './endpoint-filter.js';
import { endpointPolicyOperations } from './endpoint-policy.js';
import { grantOperations } from './grants.js';
import { groupOperations } from './groups.js';
import { withHeads } from './heads.js';
import { limitOperations } from './limits.js';
import { consumerOperations } from './oauth1-consumers.js';
import { oauthTokenOperations } from './oauth1-tokens.js';
import { oauth2Operations } from './oauth2.js';
import { policyOperations } from './policies.js';
import { IDENTITY_RULES, pathTarget } from './policy.js';
import { keystoneProblem } from './problem.js';
import { projectTagOperations } from './project-tags.js';
import { projectOperations } from './projects.js';
import { registeredLimitOperations } from './registered-limits.js';
import { revokeEventOperations } from './revoke-events.js';
import { roleOperations } from './roles.js';
import { tokenOperations } from './tokens.js';
import { TRUST_RULES, trustOperations } from './trusts.js';
import { userOperations } from './users.js';
import { versionOperations } from './versions.js';

/** Paths that clients also ask for with a slash at the end. */
const SLASHED = ['/v3', '/v3/OS-TRUST/trusts'];

/** The identity service (Keystone, v3). */
export function identityService(app: Pick<App, 'config'>): Service {
  return {
    name: 'identity',
    prefix: '/identity',
    operations: withHeads([
      ...versionOperations,
      ...tokenOperations,
      ...domainOperations,
      ...domainConfigOperations,
      ...projectOperations,
      ...projectTagOperations,
      ...userOperations,
      ...groupOperations,
      ...roleOperations,
      ...grantOperations,
      ...assignmentOperations,
      ...catalogOperations,
      ...applicationCredentialOperations,
      ...credentialOperations,
      ...ec2CredentialOperations,
      ...trustOperations,
      ...endpointFilterOperations,
      ...policyOperations,
      ...registeredLimitOperations,
      ...limitOperations,
      ...ec2TokenOperations,
      ...consumerOperations,
      ...oauthTokenOperations,
      ...oauth2Operations,
      ...endpointPolicyOperations,
      ...revokeEventOperations,
    ]),
    rules: { ...IDENTITY_RULES, ...TRUST_RULES },
    baseTarget: pathTarget,
    format: (problem, request) => keystoneProblem(problem, request, app.config.public_url),
    aliases: (path) => (SLASHED.includes(path) ? [`${path}/`] : []),
    methodNotAllowed: true,
  };
}
