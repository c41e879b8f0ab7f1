import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { absentIsNull } from './absent.js';
import { type LogLine, type LogQuery, type LogReply, MOST_LOG_BYTES, matchLine } from './log-query.js';

export interface LogFileOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** Files put aside that are kept: `path.1` is the newest. */
  readonly kept: number;
}

/**
 * A log file of mode 0640 that is put aside when it has grown enough. Lines are written at once, so nothing is lost with the process.
 * A disk that is full costs lines, not the program.
 */
export class LogFile {
  readonly #options: LogFileOptions;
  #fd: number;
  #size: number;

  /** Opens the file; throws when that is not possible. */
  constructor(options: LogFileOptions) {
    this.#options = options;
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o750 });
    this.#fd = openSync(options.path, 'a', 0o640);
    this.#size = fstatSync(this.#fd).size;
  }

  write(line: string): void {
    try {
      this.#size += writeSync(this.#fd, line);
    } catch (error) {
      this.#tell(error, line);
      return;
    }
    if (this.#size < this.#options.maxBytes) return;
    try {
      this.#rotate();
    } catch (error) {
      // tried again when as much has been written anew, not at each line
      this.#size = 0;
      this.#tell(error, '');
    }
  }

  /** Where it can still be seen, under systemd. */
  #tell(error: unknown, line: string): void {
    process.stderr.write(`${this.#options.path}: ${(error as Error).message}\n${line}`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #rotate(): void {
    const { path, kept } = this.#options;
    // first what needs room on the disk: with that refused, nothing may have been moved or removed
    const next = openSync(`${path}.new`, 'w', 0o640);
    try {
      rmSync(`${path}.${kept}`, { force: true });
      for (let n = kept - 1; n >= 1; n--) moveIfThere(`${path}.${n}`, `${path}.${n + 1}`);
      moveIfThere(path, `${path}.1`);
      renameSync(`${path}.new`, path);
    } catch (error) {
      closeSync(next);
      throw error;
    }
    closeSync(this.#fd);
    this.#fd = next;
    this.#size = 0;
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

const CHUNK = 1024 * 1024;
/** What is looked through for one query: more than log files hold unless they were made larger. */
const MOST_READ = 512 * 1024 * 1024;

/** Looks through log files, the newest first, for what a query wants. */
export async function searchLogFiles(paths: readonly string[], query: LogQuery): Promise<LogReply> {
  const found: LogLine[] = [];
  let bytes = 0;
  let read = 0;
  const since = query.since === null ? Number.NEGATIVE_INFINITY : Date.parse(query.since);
  const reply = (truncated: boolean) => ({ lines: found.reverse(), truncated, source: paths[0] ?? null });
  for (const path of paths) {
    for await (const { text, size } of linesFromEnd(path)) {
      read += size;
      if (text === '') continue;
      // before this line nothing is newer; one look at the beginning saves parsing all others
      const [, time] = /^\{"time":"([^"]+)"/.exec(text) ?? [];
      if (time !== undefined && Date.parse(time) < since) return reply(false);
      const line = matchLine(text, query);
      if (line) {
        if (found.length >= query.limit || bytes + text.length > MOST_LOG_BYTES) return reply(true);
        found.push(line);
        bytes += text.length;
      }
      if (read > MOST_READ) return reply(true);
    }
  }
  return reply(false);
}

/** The lines of a file, the last first, with the bytes that had to be read for each; nothing when it is not there. */
async function* linesFromEnd(path: string): AsyncGenerator<{ readonly text: string; readonly size: number }> {
  const file = await absentIsNull(open(path, 'r'));
  if (!file) return;
  try {
    let end = (await file.stat()).size;
    let rest = Buffer.alloc(0);
    while (end > 0) {
      const length = Math.min(CHUNK, end);
      const chunk = Buffer.alloc(length);
      const { bytesRead } = await file.read(chunk, 0, length, end - length);
      end -= length;
      const all = Buffer.concat([chunk.subarray(0, bytesRead), rest]);
      // what stands before the first line's end may go on in the chunk before
      const first = end > 0 ? all.indexOf(10) : -1;
      if (end > 0 && first < 0) {
        rest = all;
        continue;
      }
      rest = all.subarray(0, Math.max(first, 0));
      const lines = all
        .subarray(first + 1)
        .toString('utf8')
        .split('\n');
      for (const text of lines.reverse()) yield { text, size: text.length + 1 };
    }
  } finally {
    await file.close();
  }
}
