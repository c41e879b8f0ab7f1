import type { FastifyRequest } from 'fastify';
import { type FormattedProblem, htmlPage, prefers } from './problem.js';

/** The words that compute and volume have for statuses: the one key of their error bodies. */
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

/** `{"itemNotFound": {"code": 404, "message": "…"}}`. */
export function faultBody(status: number, message: string): Record<string, unknown> {
  return { [FAULTS[status] ?? 'computeFault']: { code: status, message } };
}

/** The 401 of keystonemiddleware, which stands before compute, network and volume; `authUrl` is where tokens come from. */
export function tokenWanted(message: string, authUrl: string): FormattedProblem {
  return {
    body: { error: { code: 401, title: 'Unauthorized', message } },
    contentType: 'application/json',
    headers: { 'www-authenticate': `Keystone uri="${authUrl}"` },
  };
}

/** What webob answers for a path that has no route: a page, unless JSON or text is asked for. */
export function noRoutePage(request: FastifyRequest, message: string): FormattedProblem {
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
