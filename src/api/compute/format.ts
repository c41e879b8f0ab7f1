import type { FastifyRequest } from 'fastify';
import {
  type FormattedProblem,
  htmlPage,
  type Problem,
  type ProblemFormat,
  prefers,
} from '../shared/problem.js';

const JSON_TYPE = 'application/json; charset=UTF-8';

/** Nova's names for statuses. */
const FAULTS: Readonly<Record<number, string>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  429: 'overLimit',
  501: 'notImplemented',
  503: 'serviceUnavailable',
};

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
  if (problem.code === 'no-route') return noRoute(request, message);
  if (problem.code === 'unauthorized') {
    return {
      body: { error: { code: 401, title: 'Unauthorized', message } },
      contentType: 'application/json',
      headers: { 'www-authenticate': `Keystone uri="${keystone}"` },
    };
  }
  const status = problem.code === 'over-quota' ? 403 : problem.status;
  return {
    status,
    body: { [FAULTS[status] ?? 'computeFault']: { code: status, message } },
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

function noRoute(request: FastifyRequest, message: string): FormattedProblem {
  switch (prefers(request)) {
    case 'json':
      return {
        body: { message: `${message}<br /><br />\n\n\n`, code: '404 Not Found', title: 'Not Found' },
        contentType: 'application/json',
      };
    case 'html':
      return { body: htmlPage(404, 'Not Found', message), contentType: 'text/html; charset=UTF-8' };
    case 'text':
      return { body: `404 Not Found\n\n${message}\n\n   `, contentType: 'text/plain; charset=UTF-8' };
  }
}
