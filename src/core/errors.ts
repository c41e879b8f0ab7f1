/** What kind of refusal an error is; each service's error format derives its status and names from it. */
export type ErrorCode =
  | 'bad-request'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'over-quota'
  | 'too-large'
  | 'unsupported-media-type'
  | 'not-acceptable'
  | 'precondition-failed'
  | 'unavailable';

/** HTTP status of each code; services that answer differently (Nova's over-quota is 403) say so in their format. */
export const STATUS_OF: Readonly<Record<ErrorCode, number>> = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'over-quota': 409,
  'too-large': 413,
  'unsupported-media-type': 415,
  'not-acceptable': 406,
  'precondition-failed': 412,
  unavailable: 503,
};

/**
 * An expected refusal: the caller did something that cannot be done. Its message goes to the client as it is, so it never
 * holds secrets or other tenants' data. `type` is Neutron's exception name (`NetworkNotFound`, `OverQuota` …).
 */
export class MaruError extends Error {
  readonly code: ErrorCode;
  readonly type: string | undefined;
  /** Set where a service wants another status than STATUS_OF[code]. */
  readonly status: number;

  constructor(
    code: ErrorCode,
    message: string,
    options: { type?: string; status?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MaruError';
    this.code = code;
    this.type = options.type;
    this.status = options.status ?? STATUS_OF[code];
  }
}

/** What is asked for is refused unseen for now, since too much of it is under way: the caller may come again. */
export class TooBusy extends MaruError {
  /** Seconds after which to try again. */
  readonly retryAfter: number;

  constructor(message: string, retryAfter: number) {
    super('unavailable', message);
    this.retryAfter = retryAfter;
  }
}

export function badRequest(message: string, type?: string): MaruError {
  return new MaruError('bad-request', message, { type });
}

export function notFound(message: string, type?: string): MaruError {
  return new MaruError('not-found', message, { type });
}

export function conflict(message: string, type?: string): MaruError {
  return new MaruError('conflict', message, { type });
}

export function forbidden(message: string, type?: string): MaruError {
  return new MaruError('forbidden', message, { type });
}

export function overQuota(message: string, options: { type?: string; status?: number } = {}): MaruError {
  return new MaruError('over-quota', message, options);
}
