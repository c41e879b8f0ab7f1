import type { Server } from 'node:net';

/** What a finished command gave. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface CommandOptions {
  /** Standard input. */
  readonly input?: string;
  /** Milliseconds until the command is killed; 30,000 unless given. */
  readonly timeoutMs?: number;
  /** Runs inside this network namespace (`ip netns exec`). */
  readonly netns?: string;
  /** Exit codes that are no error; [0] unless given. */
  readonly okCodes?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
  /** Mounts or unmounts (`ip netns add`, `del`): must be seen outside too when the agent's unit has mounts of its own. */
  readonly mounts?: boolean;
  /** Starts a program that puts itself into the background and outlives the agent, for which it must not be in the agent's unit. */
  readonly daemon?: Daemon;
}

/** What a program that puts itself into the background is called, where it writes its process id, and where it may write at all. */
export interface Daemon {
  readonly name: string;
  readonly pidFile: string;
  readonly directory: string;
}

/**
 * The machine, as the agent sees it: the only way to run commands and touch files. `read` is for commands that change
 * nothing, `run` for those that do: so a second apply can be seen to change nothing, and fault tests can crash after
 * the Nth change. Both reject with CommandError. Arguments are always arrays; there is no shell.
 */
export interface Host {
  readonly simulated: boolean;
  read(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  run(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** Starts a long-lived process of its own session that outlives the agent (dnsmasq daemonises by itself; prefer that). */
  spawnDetached(
    command: string,
    args: readonly string[],
    options?: { readonly netns?: string; readonly logFile?: string },
  ): Promise<number>;
  /** A child that talks on stdin and stdout, such as an interactive virsh or `ip monitor`; ends with the agent. */
  openPipe(command: string, args: readonly string[]): Pipe;
  /** A TCP server socket listening inside a network namespace, for the metadata service. */
  listenInNamespace(netns: string, address: string, port: number): Promise<Server>;

  readFile(path: string): Promise<string>;
  readFileIfExists(path: string): Promise<string | null>;
  /** Writes to a temporary file, syncs and renames: readers see the old or the new text, never half of it. */
  writeFile(path: string, content: string | Uint8Array, mode: number): Promise<void>;
  removeFile(path: string): Promise<void>;
  removeTree(path: string): Promise<void>;
  makeDirectory(path: string, mode: number): Promise<void>;
  listDirectory(path: string): Promise<readonly string[]>;
  /** Renames; a file's content is synced before. */
  rename(from: string, to: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  stat(path: string): Promise<{
    readonly size: number;
    readonly mtimeMs: number;
    readonly isDirectory: boolean;
    readonly ino: number;
    /** Permission bits. */
    readonly mode: number;
  } | null>;
  /** Calls back with the names that come, go or change in a directory; one that is not there tells nothing. */
  watchDirectory(path: string, onChange: (name: string) => void): { close(): void };
  /** Streams bytes into a file, for image downloads; resolves with size and SHA-512 of what was written. */
  writeStream(
    path: string,
    source: NodeJS.ReadableStream,
    mode: number,
  ): Promise<{ readonly size: number; readonly sha512: string }>;
  /** The last `maxBytes` bytes of a file, as text. */
  readTail(path: string, maxBytes: number): Promise<string>;
  /** Signals a process; false when it does not exist. */
  kill(pid: number, signal: NodeJS.Signals | 0): boolean;
  now(): Date;
}

/** A line-wise conversation with a child process. */
export interface Pipe {
  readonly pid: number | undefined;
  write(line: string): void;
  onLine(listener: (line: string) => void): void;
  onStderr(listener: (line: string) => void): void;
  onExit(listener: (code: number | null) => void): void;
  close(): void;
}

/** A command that failed: what ran, where, how it ended and what it said. */
export class CommandError extends Error {
  readonly command: string;
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(command: string, exitCode: number | null, stderr: string, reason: string) {
    super(`${command}: ${reason}${stderr ? `: ${stderr.trim()}` : ''}`);
    this.name = 'CommandError';
    this.command = command;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}
