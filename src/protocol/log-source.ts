import { fstatSync, readFileSync } from 'node:fs';
import { searchLogFiles } from './log-file.js';
import { type LogLine, type LogQuery, type LogReply, MOST_LOG_BYTES, matchLine } from './log-query.js';

/** Where what a program has logged can be read again. */
export interface LogSource {
  /** Rejects when it cannot be read, with what to do. */
  find(query: LogQuery): Promise<LogReply>;
}

/** Runs a command that changes nothing; 0 and 1 are answers, of another exit code it rejects, with that and what was said. */
export type RunCommand = (
  command: string,
  args: readonly string[],
) => Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }>;

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
          'MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_TRANSPORT,_PID',
          '--no-pager',
          '--quiet',
          '--all',
          // the newest first: else --lines with --since or --grep may keep the oldest, or turn the order by itself
          '--reverse',
        ],
        ...['--lines', String(wanted)],
        ...(query.since === null ? [] : ['--since', `@${Math.floor(Date.parse(query.since) / 1000)}`]),
        ...(first === undefined ? [] : ['--grep', quoted(first), '--case-sensitive=true']),
      ];
      const { stdout, stderr, exitCode } = await run('journalctl', args);
      // 1 without a word: there is no line like that
      if (exitCode !== 0 && stderr.trim() !== '') {
        throw new Error(
          `the ${source} cannot be read: journalctl ended with exit code ${exitCode}: ${stderr.trim()}; who reads it must be root or in the group systemd-journal`,
        );
      }
      const entries = splitLines(stdout);
      const { lines, truncated } = takeNewest(entries, query);
      return { lines, truncated: truncated || entries.length >= wanted, source };
    },
  };
}

/** The unit that systemd runs this process in; null when it is none. */
export function ownUnit(cgroups = readFileSync('/proc/self/cgroup', 'utf8')): string | null {
  const [, unit] = /\/([^/\n]+\.service)\/?$/m.exec(cgroups) ?? [];
  return unit ?? null;
}

/** Of entries that come newest first. */
function takeNewest(entries: readonly string[], query: LogQuery): Omit<LogReply, 'source'> {
  const lines: LogLine[] = [];
  let bytes = 0;
  for (const entry of entries) {
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
  const fields = JSON.parse(entry) as Record<string, unknown>;
  const { MESSAGE, __REALTIME_TIMESTAMP, PRIORITY } = fields;
  // bytes that are no text come as a list of numbers
  const message = Array.isArray(MESSAGE)
    ? Buffer.from(MESSAGE as number[]).toString('utf8')
    : String(MESSAGE ?? '');
  const time = new Date(Number(__REALTIME_TIMESTAMP) / 1000).toISOString();
  if (isOwn(fields)) return { message, time };
  // that the unit began, ended, and how: its words are no line of ours, and no failure for that
  const level = Number(PRIORITY) <= 3 ? 'error' : Number(PRIORITY) <= 5 ? 'warn' : 'info';
  const by = fields._PID === '1' ? 'systemd' : String(fields.SYSLOG_IDENTIFIER ?? 'systemd');
  return { message: JSON.stringify({ time, level, msg: message, by }), time };
}

/** What the program printed, and not what systemd says of the unit, under whatever name the first process runs. */
function isOwn({ SYSLOG_IDENTIFIER, _TRANSPORT, _PID }: Record<string, unknown>): boolean {
  if (SYSLOG_IDENTIFIER === 'systemd' || _PID === '1') return false;
  return _TRANSPORT === undefined || _TRANSPORT === 'stdout';
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
