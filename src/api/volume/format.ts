import { faultBody, noRoutePage, tokenWanted } from '../shared/faults.js';
import type { ProblemFormat } from '../shared/problem.js';

/** Cinder's error bodies; `authUrl` is what a 401 points to. */
export function formatVolumeProblem(authUrl: string): ProblemFormat {
  return (problem, request) => {
    const { message } = problem;
    if (problem.code === 'no-route') return noRoutePage(request, message);
    if (problem.code === 'unauthorized') return tokenWanted(message, authUrl);
    const status = problem.code === 'over-quota' ? 413 : problem.status;
    return { status, body: faultBody(status, message), contentType: 'application/json' };
  };
}
