import { readFileSync } from 'node:fs';
import { CliError } from './error.js';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of its path is no directory',
  EISDIR: 'it is a directory',
  EACCES: 'you may not read it; as root it can be read: use sudo',
};

/** The text of a file that a user named. Throws a CliError with the exit code, which says which file and why; `what` it is for. */
export function readTextFile(file: string, what = '', exitCode = 1): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new CliError(`${what && `${what}: `}${file} cannot be read: ${REASONS[code] ?? message}`, exitCode);
  }
}
