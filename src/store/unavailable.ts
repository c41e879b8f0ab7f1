/** The database cannot be reached, or gave no answer in time; what was asked for may or may not have been done. */
export class DatabaseUnavailable extends Error {
  constructor(cause: unknown) {
    super(`the database cannot be reached: ${(cause as Error).message}`, { cause });
    this.name = 'DatabaseUnavailable';
  }
}

/** Errors of sockets and resolvers. */
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  // a unix socket that is not there
  'ENOENT',
]);

/** What pg says without a code. */
const MESSAGES =
  /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error)/;

/**
 * True for errors about the connection rather than the query. SQLSTATEs: 08 connection exceptions, 57P0x shutdown, 53300 too many
 * connections, 57014 statement timeout, 25P03 idle in a transaction for too long.
 */
export function isConnectionError(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'string') {
    if (SOCKET_CODES.has(code) || /^(08|57P0)/.test(code)) return true;
    return code === '53300' || code === '57014' || code === '25P03';
  }
  return typeof message === 'string' && MESSAGES.test(message);
}
