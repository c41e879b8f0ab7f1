import { CommandError, type CommandResult, type Host } from '../host/host.js';
import type { Fact } from './facts.js';

/** Longest time (ms) that one command may take; what hangs is a finding, not a reason to hang with it. */
const COMMAND_MS = 5_000;
/** A process in uninterruptible sleep does not even end when it is killed: nobody waits for it longer than this. */
const GRACE_MS = 500;
const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);

/** The answer did not come in time. */
export class TooSlow extends Error {}

/** Reads of the machine, each bounded in time. Nothing here changes anything. */
export class Look {
  readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  /** Runs a command that only reads; any exit code is an answer. Rejects when it cannot be started or takes too long (TooSlow). */
  async command(
    command: string,
    args: readonly string[],
    options: { readonly timeoutMs?: number; readonly netns?: string } = {},
  ): Promise<CommandResult> {
    const timeoutMs = options.timeoutMs ?? COMMAND_MS;
    const shown = [command, ...args].join(' ');
    try {
      const result = this.host.read(command, args, { ...options, timeoutMs, okCodes: ANY_CODE, env: PATHS });
      return await within(result, timeoutMs + GRACE_MS, shown);
    } catch (error) {
      if (error instanceof CommandError && /still running/.test(error.message)) {
        throw new TooSlow(`${shown}: no answer within ${timeoutMs / 1000} s`);
      }
      throw error;
    }
  }

  /** Standard output of a command that must succeed. */
  async output(command: string, args: readonly string[], timeoutMs?: number): Promise<string> {
    const result = await this.command(command, args, timeoutMs === undefined ? {} : { timeoutMs });
    if (result.exitCode !== 0) {
      const said = result.stderr.trim();
      const shown = [command, ...args].join(' ');
      throw new Error(`${shown}: exit code ${result.exitCode}${said ? `: ${said}` : ''}`);
    }
    return result.stdout;
  }

  async json<T>(command: string, args: readonly string[]): Promise<T> {
    const text = await this.output(command, args);
    return JSON.parse(text.trim() === '' ? '[]' : text) as T;
  }

  /** A small file's text; null when there is none. */
  async file(path: string): Promise<string | null> {
    return await within(this.host.readFileIfExists(path), COMMAND_MS, path);
  }

  async exists(path: string): Promise<boolean> {
    return (await within(this.host.stat(path), COMMAND_MS, path)) !== null;
  }

  async list(path: string): Promise<readonly string[]> {
    return await within(this.host.listDirectory(path), COMMAND_MS, path);
  }
}

/** The value, or why there is none: one thing that cannot be read hides nothing else. */
export async function fact<T>(body: () => Promise<T>): Promise<Fact<T>> {
  try {
    return { known: true, value: await body() };
  } catch (error) {
    return { known: false, because: error instanceof Error ? error.message : String(error) };
  }
}

/** An operator's PATH may lack the directories of system programs. */
const PATHS = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/** The outcome, or TooSlow after so many milliseconds. */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooSlow(`${what}: no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
