import type { FastifyRequest } from 'fastify';
import type { FormattedProblem, Problem } from '../shared/problem.js';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  410: 'Gone',
  408: 'Request Timeout',
  413: 'Request Entity Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

const UNKNOWN_PATH = `<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>There is nothing at this address.</p>
`;

/** Keystone's error body; unknown paths are HTML, as its web framework answers them. */
export function keystoneProblem(
  problem: Problem,
  _request: FastifyRequest,
  publicUrl: string,
): FormattedProblem {
  if (problem.code === 'no-route') {
    return { body: UNKNOWN_PATH, contentType: 'text/html; charset=utf-8' };
  }
  const { status } = problem;
  const error = { code: status, message: messageOf(problem), title: TITLES[status] ?? 'Error' };
  return {
    body: status === 405 ? { message: 'The method is not allowed for the requested URL.' } : { error },
    contentType: 'application/json',
    headers: {
      vary: 'X-Auth-Token',
      ...(status === 401 && { 'www-authenticate': `Keystone uri="${publicUrl}/identity/v3"` }),
    },
  };
}

function messageOf(problem: Problem): string {
  const denied = /^Policy doesn't allow (\S+) to be performed\.$/.exec(problem.message);
  return denied ? `You are not authorized to perform the requested action: ${denied[1]}.` : problem.message;
}
