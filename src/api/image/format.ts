import type { FastifyRequest } from 'fastify';
import { type FormattedProblem, htmlPage, type Problem, prefers } from '../shared/problem.js';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

const UNAUTHORIZED =
  'This server could not verify that you are authorized to access the document you requested. Either you supplied the ' +
  'wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.';

/** Glance's errors: HTML unless the client asks for JSON or text. */
export function formatImageProblem(authUrl: string) {
  return (problem: Problem, request: FastifyRequest): FormattedProblem => {
    const { status } = problem;
    const title = TITLES[status] ?? 'Error';
    const text = status === 401 ? UNAUTHORIZED : problem.message;
    const headers: Record<string, string> =
      status === 401 ? { 'www-authenticate': `Keystone uri="${authUrl}"` } : {};
    if (status === 415 && request.method === 'PATCH') {
      headers['accept-patch'] =
        'application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch';
    }
    switch (prefers(request)) {
      case 'json': {
        const body = { message: `${text}<br /><br />\n\n\n`, code: `${status} ${title}`, title };
        return { body, contentType: 'application/json', headers };
      }
      case 'html':
        return { body: htmlPage(status, title, text), contentType: 'text/html; charset=UTF-8', headers };
      case 'text':
        return {
          body: `${status} ${title}\n\n${text}\n\n   `,
          contentType: 'text/plain; charset=UTF-8',
          headers,
        };
    }
  };
}
