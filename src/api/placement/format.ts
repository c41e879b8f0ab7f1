import { atLeast } from '../shared/microversion.js';
import type { Problem, ProblemFormat } from '../shared/problem.js';

const TITLES: Readonly<Record<number, readonly [title: string, words: string]>> = {
  400: [
    'Bad Request',
    'The server could not comply with the request since it is either malformed or otherwise incorrect.',
  ],
  403: ['Forbidden', 'Access was denied to this resource.'],
  404: ['Not Found', 'The resource could not be found.'],
  405: ['Method Not Allowed', 'The method specified is not allowed for this resource.'],
  406: [
    'Not Acceptable',
    'The resource could not be generated that was acceptable to your browser (content of type application/json.',
  ],
  409: ['Conflict', 'There was a conflict when trying to complete your request.'],
  500: ['Internal Server Error', 'The server has either erred or is incapable of performing the operation.'],
};

/** Error replies of the placement API. */
export function placementFormat(keystone: string, min: string, max: string): ProblemFormat {
  return (problem, request) => {
    if (problem.code === 'unauthorized') {
      return {
        body: { error: { code: 401, title: 'Unauthorized', message: problem.message } },
        contentType: 'application/json',
        headers: { 'www-authenticate': `Keystone uri="${keystone}"` },
      };
    }
    const [title, words] = TITLES[problem.status] ?? ['Error', ''];
    const version = request.maru?.version;
    const error = {
      status: problem.status,
      title,
      detail: `${words}\n\n ${detail(problem)}  `,
      ...(version && atLeast(version, '1.23') ? { code: problem.type ?? 'placement.undefined_code' } : {}),
      request_id: request.maru?.requestId ?? '',
      ...(problem.status === 406 ? { max_version: max, min_version: min } : {}),
    };
    return { body: { errors: [error] }, contentType: 'application/json' };
  };
}

function detail(problem: Problem): string {
  if (problem.code === 'no-route') return '';
  if (problem.status === 406) {
    const wanted = /Version (\S+)/.exec(problem.message)?.[1] ?? '';
    return `Invalid microversion: Unacceptable version header: ${wanted}`;
  }
  return problem.message;
}
