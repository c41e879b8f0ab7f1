import { fstatSync, readFileSync } from 'node:fs';
import { searchLogFiles } from './log-file.js';
import { type LogLine, type LogQuery, type LogReply, MOST_LOG_BYTES, matchLine } from './log-query.js';

/** Where what a program has logged can be read again. */
export interface LogSource {
  /** Rejects when it cannot be read, with what to do. */
  find(query: LogQuery): Promise<LogReply>;
}

/** Runs a command that changes nothing and gives what it printed; rejects with its exit code and stderr. */
export type RunCommand = (command: string, args: readonly string[]) => Promise<string>;

/** Of a program that logs to a terminal, a pipe or nowhere. */
export const NO_LOG: LogSource = { find: async () => ({ lines: [], truncated: false, source: null }) };

/** A log file and those put aside, `FILE.1` being the newest of them. */
export function fileSource(path: string, kept: number): LogSource {
  const paths = [path, ...Array.from({ length: kept }, (_, n) => `${path}.${n + 1}`)];
  return { find: (query) => searchLogFiles(paths, query) };
}

/**
 * What standard output goes to: under systemd the journal of this process's unit, else, when whoever started it has directed it
 * there, a file.
 */
export function standardOutputSource(run: RunCommand): LogSource {
  const { dev, ino, isFile } = standardOutput();
  if (process.env.JOURNAL_STREAM === `${dev}:${ino}`) {
    const unit = ownUnit();
    if (unit) return journalSource(unit, run);
  }
  return isFile ? { find: (query) => searchLogFiles(['/proc/self/fd/1'], query) } : NO_LOG;
}

/** The journal of a unit. */
export function journalSource(unit: string, run: RunCommand): LogSource {
  const source = `journal of ${unit}`;
  return {
    async find(query) {
      // its priorities are not ours: the level is looked at here, so more lines are wanted of it
      const wanted = query.level === 'debug' ? query.limit + 1 : (query.limit + 1) * 4;
      const [first] = query.mentions;
      const args = [
        ...[
          '--unit',
          unit,
          '--output',
          'json',
          '--output-fields',
          'MESSAGE,PRIORITY,SYSLOG_IDENTIFIER',
          '--no-pager',
          '--quiet',
          '--all',
        ],
        ...['--lines', String(wanted)],
        ...(query.since === null ? [] : ['--since', `@${Math.floor(Date.parse(query.since) / 1000)}`]),
        ...(first === undefined ? [] : ['--grep', quoted(first), '--case-sensitive=true']),
      ];
      const entries = splitLines(await run('journalctl', args));
      return { ...takeNewest(entries, query), source };
    },
  };
}

/** The unit that systemd runs this process in; null when it is none. */
export function ownUnit(cgroups = readFileSync('/proc/self/cgroup', 'utf8')): string | null {
  const [, unit] = /\/([^/\n]+\.service)\/?$/m.exec(cgroups) ?? [];
  return unit ?? null;
}

function takeNewest(entries: readonly string[], query: LogQuery): Omit<LogReply, 'source'> {
  const lines: LogLine[] = [];
  let bytes = 0;
  for (const entry of [...entries].reverse()) {
    const { message, time } = readEntry(entry);
    const line = matchLine(message, query);
    if (!line) continue;
    if (lines.length >= query.limit || bytes + message.length > MOST_LOG_BYTES)
      return { lines: lines.reverse(), truncated: true };
    lines.push(line.time === '' ? { ...line, time } : line);
    bytes += message.length;
  }
  return { lines: lines.reverse(), truncated: false };
}

/** What was logged, and when the journal took it. */
function readEntry(entry: string): { readonly message: string; readonly time: string } {
  const { MESSAGE, __REALTIME_TIMESTAMP, PRIORITY, SYSLOG_IDENTIFIER } = JSON.parse(entry) as Record<
    string,
    unknown
  >;
  // bytes that are no text come as a list of numbers
  const message = Array.isArray(MESSAGE)
    ? Buffer.from(MESSAGE as number[]).toString('utf8')
    : String(MESSAGE ?? '');
  const time = new Date(Number(__REALTIME_TIMESTAMP) / 1000).toISOString();
  if (SYSLOG_IDENTIFIER !== 'systemd') return { message, time };
  // what systemd says of the unit: that it began, ended, and how
  const level = Number(PRIORITY) <= 3 ? 'error' : Number(PRIORITY) <= 5 ? 'warn' : 'info';
  return { message: JSON.stringify({ time, level, msg: message, by: 'systemd' }), time };
}

function splitLines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function quoted(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function standardOutput(): { readonly dev: number; readonly ino: number; readonly isFile: boolean } {
  try {
    const found = fstatSync(1);
    return { dev: found.dev, ino: found.ino, isFile: found.isFile() };
  } catch {
    // closed
    return { dev: -1, ino: -1, isFile: false };
  }
}
