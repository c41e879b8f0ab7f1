import { LOG_LEVELS, type LogLevel } from './log.js';

/** Which lines of a log are wanted. */
export interface LogQuery {
  /** Lines with all of these texts: ids of a request, a server. */
  readonly mentions: readonly string[];
  /** Lines from this moment on (RFC 3339). */
  readonly since: string | null;
  /** Lines of this weight or more. */
  readonly level: LogLevel;
  /** At most so many, the newest. */
  readonly limit: number;
}

/** One line of a log, as it was written. */
export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What a log has for a query, oldest first. */
export interface LogReply {
  readonly lines: readonly LogLine[];
  /** There is more than was wanted, or than was looked through. */
  readonly truncated: boolean;
  /** Where it was looked: a file or a unit's journal; null: this program keeps no log. */
  readonly source: string | null;
}

export const MOST_LOG_LINES = 5_000;
/** A reply ends at this size, whatever was asked for. */
export const MOST_LOG_BYTES = 4 * 1024 * 1024;
/** Longer lines lose their longest fields. */
const LONGEST_LINE = 32_768;

/** The line, when it is one that the query wants; null otherwise. Text that is no line of ours (a crash) has no fields. */
export function matchLine(text: string, query: LogQuery): LogLine | null {
  if (text === '' || !query.mentions.every((word) => text.includes(word))) return null;
  const line = parseLine(text);
  if (line.time !== '' && query.since !== null && Date.parse(line.time) < Date.parse(query.since))
    return null;
  return weight(line.level) < weight(query.level) ? null : line;
}

/** A line of a log; what is not JSON is taken for the words of a failure. */
export function parseLine(text: string): LogLine {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'msg' in parsed) {
      const { time = '', level = 'info', msg, ...more } = parsed as Record<string, unknown>;
      const fields = text.length > LONGEST_LINE ? shortened(more) : more;
      return { ...fields, time: String(time), level: String(level), msg: String(msg) };
    }
  } catch {
    // told as it is
  }
  return { time: '', level: 'error', msg: text.slice(0, LONGEST_LINE) };
}

/** What is wrong with a query that came from elsewhere, or null. */
export function checkLogQuery(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'a query must be an object';
  const { mentions, since, level, limit } = value as Partial<Record<keyof LogQuery, unknown>>;
  const words =
    Array.isArray(mentions) && mentions.every((word) => typeof word === 'string' && word.length <= 200);
  if (!words || mentions.length > 10) return 'mentions must be a list of at most 10 texts';
  if (since !== null && (typeof since !== 'string' || Number.isNaN(Date.parse(since))))
    return 'since must be a time or null';
  if (!LOG_LEVELS.some((one) => one === level)) return `level must be one of ${LOG_LEVELS.join(', ')}`;
  if (!Number.isSafeInteger(limit) || (limit as number) < 1 || (limit as number) > MOST_LOG_LINES)
    return `limit must be a number from 1 to ${MOST_LOG_LINES}`;
  return null;
}

function weight(level: string): number {
  const found = LOG_LEVELS.indexOf(level as LogLevel);
  return found < 0 ? LOG_LEVELS.length : found;
}

function shortened(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return [name, text.length > 1_000 ? `${text.slice(0, 1_000)}… (${text.length} characters)` : value];
    }),
  );
}
