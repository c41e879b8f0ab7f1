import type { FastifyRequest } from 'fastify';
import { faultBody, noRoutePage, tokenWanted } from '../shared/faults.js';
import type { FormattedProblem, Problem, ProblemFormat } from '../shared/problem.js';

const JSON_TYPE = 'application/json; charset=UTF-8';

/** Error replies of the compute API; `keystone` is the URL that a 401 points to. */
export function computeFormat(keystone: string): ProblemFormat {
  return (problem, request) => {
    const formatted = formatBody(problem, request, keystone);
    const id = request.maru?.requestId;
    return { ...formatted, headers: { ...formatted.headers, ...(id ? { 'x-compute-request-id': id } : {}) } };
  };
}

function formatBody(problem: Problem, request: FastifyRequest, keystone: string): FormattedProblem {
  const { message } = problem;
  if (problem.code === 'no-route') return noRoutePage(request, message);
  if (problem.code === 'unauthorized') return tokenWanted(message, keystone);
  const status = problem.code === 'over-quota' ? 403 : problem.status;
  return {
    status,
    body: faultBody(status, message),
    contentType: JSON_TYPE,
    headers: problem.code === 'not-acceptable' ? echoed(request) : {},
  };
}

/** A version that is not supported is echoed as it was asked for. */
function echoed(request: FastifyRequest): Record<string, string> {
  const legacy = request.headers['x-openstack-nova-api-version'];
  const header = String(request.headers['openstack-api-version'] ?? '');
  const version = /compute\s+(\S+)/.exec(header)?.[1] ?? String(legacy ?? '');
  return { 'openstack-api-version': `compute ${version}`, 'x-openstack-nova-api-version': version };
}
