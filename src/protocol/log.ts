import { contextFields } from './log-context.js';
import { withoutSecrets } from './log-secrets.js';

/** A JSON-lines logger: `{"time","level","msg",…fields}`; fields carry request_id, project_id, host, resource. */
export interface Logger {
  debug(msg: string, fields?: Record<string, unknown>): void;
  info(msg: string, fields?: Record<string, unknown>): void;
  warn(msg: string, fields?: Record<string, unknown>): void;
  error(msg: string, fields?: Record<string, unknown>): void;
  /** A logger that adds the given fields to every line. */
  with(fields: Record<string, unknown>): Logger;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Logs to the stream (stdout, which systemd keeps in the journal), from `level` upwards; a function is asked at each line. What is
 * done on behalf of requests adds their fields (log-context.ts); secrets are taken out.
 */
export function createLogger(
  level: LogLevel | (() => LogLevel),
  fields: Record<string, unknown> = {},
  write: (line: string) => void = (line) => process.stdout.write(line),
): Logger {
  const at = (l: LogLevel) => (msg: string, more?: Record<string, unknown>) => {
    const least = typeof level === 'function' ? level() : level;
    if (LOG_LEVELS.indexOf(l) < LOG_LEVELS.indexOf(least)) return;
    const time = new Date().toISOString();
    const line = { time, level: l, msg, ...fields, ...contextFields(), ...flatten(more) };
    write(`${withoutSecrets(line)}\n`);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (more) => createLogger(level, { ...fields, ...more }, write),
  };
}

/** Errors do not survive JSON.stringify: keep message and stack. */
function flatten(fields: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  if (!fields || !(fields.error instanceof Error)) return fields;
  const { message, stack } = fields.error;
  return { ...fields, error: message, stack };
}
