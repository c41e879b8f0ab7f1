import type { ObjectError } from '../../src/protocol/messages.js';
import { CommandError } from '../host/host.js';

/** An error that carries what an operator can do about it. */
export class HintedError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = 'HintedError';
    this.hint = hint;
  }
}

/** An error as a report carries it: a failed command keeps its text, exit code and stderr. */
export function toObjectError(error: unknown, doing: string): ObjectError {
  if (error instanceof CommandError) {
    return {
      message: `${doing}: ${error.message}`,
      command: error.command,
      exit_code: error.exitCode,
      stderr: error.stderr.trim(),
      ...hintFor(error.message),
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof HintedError ? { hint: error.hint } : hintFor(message);
  return { message: `${doing}: ${message}`, ...hint };
}

function hintFor(text: string): { hint?: string } {
  if (/ENOSPC|No space left/.test(text))
    return { hint: 'free space on the file system that holds the agent’s state directory' };
  if (/EACCES|Permission denied/.test(text))
    return {
      hint: 'check owner and mode of the files named; QEMU’s user must be able to enter the state directory',
    };
  if (/failed to connect|end of file while reading|libvirt does not answer/i.test(text))
    return { hint: 'libvirtd does not answer: systemctl status libvirtd' };
  return {};
}
