import type { FastifyRequest } from 'fastify';
import { type FormattedProblem, htmlPage, type Problem, prefers } from '../shared/problem.js';

const FAULTS: Readonly<Record<number, string>> = {
  400: 'badRequest',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  503: 'serviceUnavailable',
};

/** Cinder's error bodies, which are Nova's. */
export function formatVolumeProblem(authUrl: string) {
  return (problem: Problem, request: FastifyRequest): FormattedProblem => {
    const { message } = problem;
    if (problem.code === 'no-route') return noRoute(request, message);
    if (problem.code === 'unauthorized') {
      return {
        body: { error: { code: 401, title: 'Unauthorized', message } },
        contentType: 'application/json',
        headers: { 'www-authenticate': `Keystone uri="${authUrl}"` },
      };
    }
    const status = problem.code === 'over-quota' ? 413 : problem.status;
    const body = { [FAULTS[status] ?? 'computeFault']: { code: status, message } };
    return { status, body, contentType: 'application/json' };
  };
}

function noRoute(request: FastifyRequest, message: string): FormattedProblem {
  const type = prefers(request);
  if (type === 'json') {
    const body = { message: `${message}<br /><br />\n\n\n`, code: '404 Not Found', title: 'Not Found' };
    return { body, contentType: 'application/json' };
  }
  if (type === 'html')
    return { body: htmlPage(404, 'Not Found', message), contentType: 'text/html; charset=UTF-8' };
  return { body: `404 Not Found\n\n${message}\n\n   `, contentType: 'text/plain; charset=UTF-8' };
}
