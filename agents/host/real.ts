import { createHash } from 'node:crypto';
import { createWriteStream, watch } from 'node:fs';
import * as fs from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { absentIsNull } from '../../src/protocol/absent.js';
import { isConfined, outside, startInUnit } from './confined.js';
import { CommandError, type CommandOptions, type CommandResult, type Host, type Pipe } from './host.js';
import { listenInNamespace } from './namespace-socket.js';

/** The machine that the agent runs on. */
export class RealHost implements Host {
  readonly simulated = false;

  read(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return execute(command, args, options);
  }

  run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    if (options.daemon && isConfined()) return startInUnit(execute, command, args, options, options.daemon);
    if (options.mounts && isConfined()) return execute(...outside(command, args), options);
    return execute(command, args, options);
  }

  async spawnDetached(
    command: string,
    args: readonly string[],
    options: { readonly netns?: string; readonly logFile?: string } = {},
  ): Promise<number> {
    const [file, all] = inNamespace(command, args, options.netns);
    // a descriptor of its own: output that went through this process would end, with EPIPE, when this process does
    const log = options.logFile ? await fs.open(options.logFile, 'a', 0o640) : null;
    // execa takes any descriptor; its types know only literal numbers
    const output = (log?.fd ?? 'ignore') as 'ignore';
    const child = execa(file, all, {
      detached: true,
      cleanup: false,
      stdin: 'ignore',
      stdout: output,
      stderr: output,
      reject: false,
    });
    child.unref();
    await log?.close();
    if (child.pid === undefined)
      throw new CommandError([file, ...all].join(' '), null, '', 'could not be started');
    return child.pid;
  }

  openPipe(command: string, args: readonly string[]): Pipe {
    // monitors only notice a reader that has gone when they have something to say: the kernel ends them with us, however we end
    const child = execa('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
      buffer: false,
      reject: false,
      stdin: 'pipe',
      env: UNTRANSLATED,
    });
    const lines = createInterface({ input: child.stdout });
    const errors = createInterface({ input: child.stderr });
    // a child that has gone makes writes fail: onExit tells, the error itself adds nothing
    child.stdin.on('error', () => {});
    return {
      pid: child.pid,
      write: (line) => child.stdin.write(`${line}\n`),
      onLine: (listener) => lines.on('line', listener),
      onStderr: (listener) => errors.on('line', listener),
      onExit: (listener) => void child.then((result) => listener(result.exitCode ?? null)),
      close: () => child.kill(),
    };
  }

  listenInNamespace(netns: string, address: string, port: number): Promise<Server> {
    return listenInNamespace(netns, address, port);
  }

  readFile(path: string): Promise<string> {
    return fs.readFile(path, 'utf8');
  }

  async readFileIfExists(path: string): Promise<string | null> {
    return await absentIsNull(fs.readFile(path, 'utf8'));
  }

  async writeFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
    const temporary = `${path}.${process.pid}.${++temporaryCounter}.tmp`;
    try {
      const file = await fs.open(temporary, 'w', mode);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await fs.rename(temporary, path);
    } catch (error) {
      // on a full disk each attempt would leave another one
      await fs.rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    await sync(dirname(path));
  }

  async removeFile(path: string): Promise<void> {
    await fs.rm(path, { force: true });
  }

  async removeTree(path: string): Promise<void> {
    await fs.rm(path, { force: true, recursive: true });
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    await fs.mkdir(path, { recursive: true, mode });
  }

  async listDirectory(path: string): Promise<readonly string[]> {
    return (await absentIsNull(fs.readdir(path))) ?? [];
  }

  async rename(from: string, to: string): Promise<void> {
    // on the disk before it has its name: else a power cut may leave the name of an empty file
    if ((await fs.stat(from)).isFile()) await sync(from);
    await fs.rename(from, to);
    await sync(dirname(to));
  }

  async chmod(path: string, mode: number): Promise<void> {
    await fs.chmod(path, mode);
  }

  async stat(path: string) {
    const found = await absentIsNull(fs.stat(path));
    if (!found) return null;
    const { size, mtimeMs, ino } = found;
    return { size, mtimeMs, isDirectory: found.isDirectory(), ino, mode: found.mode & 0o7777 };
  }

  watchDirectory(path: string, onChange: (name: string) => void): { close(): void } {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => onChange(name ?? ''));
      // the directory itself has gone, or the kernel's limit is reached: the periodic look has to do
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch {
      return { close: () => {} };
    }
  }

  async writeStream(path: string, source: NodeJS.ReadableStream, mode: number) {
    const hash = createHash('sha512');
    let size = 0;
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        size += chunk.length;
        done(null, chunk);
      },
    });
    await pipeline(source, meter, createWriteStream(path, { mode, flush: true }));
    return { size, sha512: hash.digest('hex') };
  }

  async readTail(path: string, maxBytes: number): Promise<string> {
    const file = await absentIsNull(fs.open(path, 'r'));
    if (!file) return '';
    try {
      const { size } = await file.stat();
      const length = Math.min(size, maxBytes);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
      return buffer.subarray(0, bytesRead).toString('utf8');
    } finally {
      await file.close();
    }
  }

  kill(pid: number, signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  }

  now(): Date {
    return new Date();
  }
}

/** What commands say is read by this program, whatever the machine's language. */
const UNTRANSLATED = { LC_ALL: 'C.UTF-8' };

let temporaryCounter = 0;

async function execute(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const [file, all] = inNamespace(command, args, options.netns);
  const timeout = options.timeoutMs ?? 30_000;
  const result = await execa(file, all, {
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    env: { ...UNTRANSLATED, ...options.env },
    timeout,
    forceKillAfterDelay: 2_000,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: 64 * 1024 * 1024,
  });
  const stderr = result.stderr ?? '';
  const shown = [file, ...all].join(' ');
  if (result.timedOut)
    throw new CommandError(shown, null, stderr, `still running after ${timeout} ms, killed`);
  if (result.exitCode === undefined) {
    throw new CommandError(
      shown,
      null,
      stderr,
      result.originalMessage ?? `ended by ${result.signal ?? 'an unknown cause'}`,
    );
  }
  if (!(options.okCodes ?? [0]).includes(result.exitCode)) {
    throw new CommandError(shown, result.exitCode, stderr, `exit code ${result.exitCode}`);
  }
  return { stdout: result.stdout ?? '', stderr, exitCode: result.exitCode };
}

function inNamespace(
  command: string,
  args: readonly string[],
  netns: string | undefined,
): [string, string[]] {
  return netns === undefined ? [command, [...args]] : ['ip', ['netns', 'exec', netns, command, ...args]];
}

/** Has a file's content, or a directory's entries, on the disk. */
async function sync(path: string): Promise<void> {
  const opened = await fs.open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
