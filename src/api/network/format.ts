import { tokenWanted } from '../shared/faults.js';
import type { ProblemFormat } from '../shared/problem.js';
import { htmlPage } from '../shared/problem.js';

/** Names of refusals that were thrown without Neutron's exception name. */
const TYPES: Readonly<Record<string, string>> = {
  'bad-request': 'HTTPBadRequest',
  forbidden: 'PolicyNotAuthorized',
  'not-found': 'HTTPNotFound',
  'no-route': 'HTTPNotFound',
  conflict: 'HTTPConflict',
  'over-quota': 'OverQuota',
  'precondition-failed': 'HTTPPreconditionFailed',
  unavailable: 'ServiceUnavailable',
  internal: 'HTTPInternalServerError',
};

/** Neutron's error bodies; a missing token is refused in Keystone's format, an unknown extension in HTML. */
export const networkProblem: ProblemFormat = (problem, request) => {
  const { status, code, message } = problem;
  if (status === 401) {
    const url = new URL('/identity', `http://${request.headers.host ?? 'localhost'}`);
    return tokenWanted(message, url.href);
  }
  if (problem.type === 'ExtensionNotFound') {
    const text = htmlPage(404, 'Not Found', 'The resource could not be found.');
    const page = text.replace('<br /><br />\n', `<br /><br />\n${message}`);
    return { body: page, contentType: 'text/html; charset=UTF-8' };
  }
  const malformed = problem.type === 'MalformedRequestBody' || message === 'Malformed request body';
  const type = malformed ? 'HTTPBadRequest' : (problem.type ?? TYPES[code] ?? 'HTTPBadRequest');
  const text = malformed ? 'Body contains invalid data' : message;
  return {
    body: { NeutronError: { type, message: text, detail: '' } },
    contentType: 'application/json',
  };
};
