import type { FastifyRequest } from 'fastify';
import { type ErrorCode, MaruError, TooBusy } from '../../core/errors.js';
import { isStorageFull } from '../../store/storage-full.js';
import { DatabaseUnavailable } from '../../store/unavailable.js';

/** A refusal on its way to the client, before a service puts it into its own words. */
export interface Problem {
  readonly status: number;
  readonly code: ErrorCode | 'internal' | 'method-not-allowed' | 'no-route';
  readonly message: string;
  readonly type: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** A problem in a service's error format. */
export interface FormattedProblem {
  readonly status?: number;
  readonly body: unknown;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type ProblemFormat = (problem: Problem, request: FastifyRequest) => FormattedProblem;

/** Anything thrown, as a problem; what is not a MaruError is ours to mend and shows the client only the request id. */
export function toProblem(error: unknown, requestId: string): Problem {
  if (error instanceof MaruError) {
    const headers: Record<string, string> =
      error instanceof TooBusy ? { 'retry-after': String(error.retryAfter) } : {};
    return { status: error.status, code: error.code, message: error.message, type: error.type, headers };
  }
  if (error instanceof DatabaseUnavailable) {
    const message = `The service is temporarily unavailable: its database cannot be reached (request ${requestId}).`;
    return { status: 503, code: 'unavailable', message, type: undefined, headers: {} };
  }
  const status = (error as { statusCode?: unknown }).statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return { status, code: 'bad-request', message: (error as Error).message, type: undefined, headers: {} };
  }
  if (isStorageFull(error)) {
    const message = `The controller has no room left to store anything; nothing was changed (request ${requestId}).`;
    return { status: 503, code: 'unavailable', message, type: undefined, headers: {} };
  }
  const message = `An unexpected error prevented the server from fulfilling your request (request ${requestId}).`;
  return { status: 500, code: 'internal', message, type: undefined, headers: {} };
}

/** True when the client asks for JSON explicitly; services that negotiate answer others in HTML or text. */
export function prefers(request: FastifyRequest): 'json' | 'html' | 'text' {
  const accept = request.headers.accept ?? '*/*';
  if (accept.includes('application/json')) return 'json';
  return accept.includes('*/*') || accept.includes('text/html') ? 'html' : 'text';
}

/** The error page that webob-based services give for `*\/*`. */
export function htmlPage(status: number, title: string, text: string): string {
  return `<html>\n <head>\n  <title>${status} ${title}</title>\n </head>\n <body>\n  <h1>${status} ${title}</h1>\n  ${escapeHtml(text)}<br /><br />\n\n\n\n </body>\n</html>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
