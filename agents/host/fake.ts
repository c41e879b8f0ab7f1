import { createServer, type Server } from 'node:net';
import { absent, type FakeFile } from './fake/files.js';
import { FakeFailure, FakeMachine, type MachineOptions } from './fake/machine.js';
import { openFakePipe } from './fake/pipe.js';
import { PROGRAMS } from './fake/programs.js';
import { CommandError, type CommandOptions, type CommandResult, type Host, type Pipe } from './host.js';

/** A pretended host on a machine of its own. */
export function createFakeHost(options: MachineOptions): FakeHost {
  return new FakeHost(new FakeMachine(options));
}

/** A fault that commands matching a pattern run into. */
interface Fault {
  readonly pattern: RegExp;
  readonly kind: 'fail' | 'time-out';
  readonly stderr: string;
  left: number;
}

/**
 * A machine in memory behind the interface of the real one: it understands the commands that the agent's parts issue, and
 * keeps what they change. It can crash after a change, fail a command or let it time out. What works here proves nothing
 * about kernels or libvirt. Several hosts may share one machine, as an agent and its successor do.
 */
export class FakeHost implements Host {
  readonly simulated = true;
  readonly machine: FakeMachine;
  /** Commands that changed something, in order. */
  readonly changes: string[] = [];
  readonly #faults: Fault[] = [];
  readonly #pipes = new Set<Pipe>();
  #changesUntilCrash = Number.POSITIVE_INFINITY;
  #crashed = false;

  constructor(machine: FakeMachine) {
    this.machine = machine;
  }

  /** Lets the agent die right after its nth change from now: nothing it asks for is answered any more. */
  crashAfter(changes: number): void {
    this.#changesUntilCrash = changes;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  /** Lets the next commands that match fail with this text on stderr. */
  failOn(pattern: RegExp, stderr: string, times = 1): void {
    this.#faults.push({ pattern, kind: 'fail', stderr, left: times });
  }

  /** Lets the next commands that match run into their time-out. */
  timeOutOn(pattern: RegExp, times = 1): void {
    this.#faults.push({ pattern, kind: 'time-out', stderr: '', left: times });
  }

  read(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.#execute(command, args, options, false);
  }

  run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.#execute(command, args, options, true);
  }

  async spawnDetached(
    command: string,
    args: readonly string[],
    options: { readonly netns?: string } = {},
  ): Promise<number> {
    await this.#alive();
    this.machine.netns(options.netns);
    const { pid } = this.machine.addProcess(command, args, options.netns ?? '');
    await this.#changed([command, ...args].join(' '));
    return pid;
  }

  openPipe(command: string, args: readonly string[]): Pipe {
    const pipe = openFakePipe(this.machine, command, args, () => this.#crashed);
    this.#pipes.add(pipe);
    return pipe;
  }

  /** A server that nobody can reach: simulated guests ask for nothing. */
  async listenInNamespace(netns: string, address: string, port: number): Promise<Server> {
    await this.#alive();
    if (!this.machine.namespaces.has(netns))
      throw new Error(`no socket on ${address}:${port} in namespace ${netns}: no such namespace`);
    return createServer();
  }

  async readFile(path: string): Promise<string> {
    return (await this.#file('open', path)).content.toString('utf8');
  }

  async readFileIfExists(path: string): Promise<string | null> {
    await this.#alive();
    return this.machine.files.get(path)?.content.toString('utf8') ?? null;
  }

  async writeFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
    await this.#alive();
    this.machine.files.write(path, content, mode);
    await this.#changed(`write ${path}`);
  }

  async removeFile(path: string): Promise<void> {
    await this.#alive();
    if (!this.machine.files.get(path)) return;
    this.machine.files.remove(path);
    await this.#changed(`remove ${path}`);
  }

  async removeTree(path: string): Promise<void> {
    await this.#alive();
    this.machine.files.removeTree(path);
    await this.#changed(`remove tree ${path}`);
  }

  async makeDirectory(path: string, _mode?: number): Promise<void> {
    await this.#alive();
    if (this.machine.files.isDirectory(path)) return;
    this.machine.files.makeDirectory(path);
    await this.#changed(`make directory ${path}`);
  }

  async listDirectory(path: string): Promise<readonly string[]> {
    await this.#alive();
    return this.machine.files.list(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#alive();
    this.machine.files.rename(from, to);
    await this.#changed(`rename ${from} ${to}`);
  }

  async chmod(path: string, mode: number): Promise<void> {
    (await this.#file('chmod', path)).mode = mode;
    await this.#changed(`chmod ${path}`);
  }

  async stat(path: string) {
    await this.#alive();
    const file = this.machine.files.get(path);
    if (file) {
      const { size, mtimeMs, ino, mode } = file;
      return { size, mtimeMs, isDirectory: false, ino, mode };
    }
    if (!this.machine.files.isDirectory(path)) return null;
    return { size: 0, mtimeMs: 0, isDirectory: true, ino: 1, mode: 0o755 };
  }

  watchDirectory(path: string, onChange: (name: string) => void): { close(): void } {
    return this.machine.files.watch(path, (name) => {
      if (!this.#crashed) onChange(name);
    });
  }

  async writeStream(path: string, source: NodeJS.ReadableStream, mode: number) {
    await this.#alive();
    const written = await this.machine.files.writeStream(path, source, mode);
    await this.#changed(`write ${path}`);
    return written;
  }

  async readTail(path: string, maxBytes: number): Promise<string> {
    await this.#alive();
    const content = this.machine.files.get(path)?.content ?? Buffer.alloc(0);
    return content.subarray(Math.max(0, content.length - maxBytes)).toString('utf8');
  }

  kill(pid: number, signal: NodeJS.Signals | 0): boolean {
    if (!this.machine.processes.has(pid)) return false;
    if (signal === 'SIGTERM' || signal === 'SIGKILL') this.machine.endProcess(pid);
    return true;
  }

  now(): Date {
    return new Date();
  }

  async #execute(
    command: string,
    args: readonly string[],
    options: CommandOptions,
    changes: boolean,
  ): Promise<CommandResult> {
    await this.#alive();
    const shown = [...(options.netns ? ['ip netns exec', options.netns] : []), command, ...args].join(' ');
    const result = this.#result(shown, command, args, options);
    // a command that fails may have changed something all the same, as a batch does
    if (changes) await this.#changed(shown);
    if (!(options.okCodes ?? [0]).includes(result.exitCode)) {
      throw new CommandError(shown, result.exitCode, result.stderr, `exit code ${result.exitCode}`);
    }
    return result;
  }

  #result(shown: string, command: string, args: readonly string[], options: CommandOptions): CommandResult {
    const fault = this.#faults.find(({ pattern, left }) => left > 0 && pattern.test(shown));
    if (fault) {
      fault.left--;
      if (fault.kind === 'fail') return { stdout: '', stderr: fault.stderr, exitCode: 1 };
      throw new CommandError(
        shown,
        null,
        '',
        `still running after ${options.timeoutMs ?? 30_000} ms, killed`,
      );
    }
    const program = PROGRAMS[command];
    if (!program) throw new CommandError(shown, null, '', `the simulated host has no program '${command}'`);
    try {
      const stdout = program(this.machine, { args, input: options.input ?? '', netns: options.netns ?? '' });
      return { stdout, stderr: '', exitCode: 0 };
    } catch (error) {
      if (!(error instanceof FakeFailure)) throw error;
      return { stdout: error.stdout, stderr: error.stderr, exitCode: error.exitCode };
    }
  }

  async #file(call: string, path: string): Promise<FakeFile> {
    await this.#alive();
    const file = this.machine.files.get(path);
    if (!file) throw absent(call, path);
    return file;
  }

  /** Notes a change; the one after which the agent dies is not answered. */
  async #changed(what: string): Promise<void> {
    this.changes.push(what);
    if (--this.#changesUntilCrash > 0) return;
    this.#crashed = true;
    for (const pipe of this.#pipes) pipe.close();
    await new Promise(() => {});
  }

  /** A dead agent gets no answers; a living one gets them later, as from a real machine. */
  async #alive(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#crashed) await new Promise(() => {});
  }
}
