import type { FormattedProblem, Problem } from '../shared/problem.js';
import type { Service } from '../shared/service.js';
import { auditOperations } from './audit.js';
import { authorityOperations } from './authority.js';
import { controllerOperations } from './controllers.js';
import { driftOperations } from './drift.js';
import { hostOperations } from './hosts.js';
import { incarnationOperations } from './incarnation.js';
import { keyOperations } from './keys.js';
import { logOperations } from './logs.js';
import { orphanOperations } from './orphans.js';
import { placementOperations } from './placement.js';
import { policyOperations } from './policies.js';
import { routerOperations } from './routers.js';
import { statusOperations } from './status.js';
import { taskOperations } from './tasks.js';
import { traceOperations } from './trace.js';
import { trailOperations } from './trail.js';

/** What operators need beyond OpenStack's APIs, mounted under `/maru`; used by the `maru` command. */
export function adminService(): Service {
  return {
    name: 'admin',
    prefix: '/maru',
    operations: [
      ...hostOperations,
      ...controllerOperations,
      ...authorityOperations,
      ...incarnationOperations,
      ...orphanOperations,
      ...routerOperations,
      ...driftOperations,
      ...keyOperations,
      ...logOperations,
      ...statusOperations,
      ...placementOperations,
      ...policyOperations,
      ...taskOperations,
      ...traceOperations,
      ...trailOperations,
      ...auditOperations,
    ],
    format: formatAdminProblem,
    methodNotAllowed: true,
  };
}

function formatAdminProblem({ status, code, message }: Problem): FormattedProblem {
  return { body: { error: { code: status, title: code, message } }, contentType: 'application/json' };
}
