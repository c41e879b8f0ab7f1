import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** A process that the supervisor keeps running. */
export interface ProgramSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Gets the API's listening socket by IPC. */
  readonly takesSocket: boolean;
}

export interface ProgramState {
  readonly name: string;
  /** The started process; of one that entered a PID namespace, the entering one. */
  readonly pid: number | null;
  readonly restarts: number;
  readonly lastExit: string | null;
}

const FIRST_DELAY_MS = 300;
const LAST_DELAY_MS = 10_000;
/** What ran this long was healthy: the next restart is quick again. */
const HEALTHY_MS = 30_000;
const STOP_GRACE_MS = 8_000;

/** A bare socket handle, as child.send takes it besides the types that it declares. */
export type ApiSocket = Parameters<ChildProcess['send']>[1];

/** Runs one program, starts it again when it ends, and hands the socket to each new process. */
export class Program {
  readonly spec: ProgramSpec;
  readonly #log: (text: string) => void;
  readonly #socket: ApiSocket;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #delay = FIRST_DELAY_MS;
  #restarts = 0;
  #lastExit: string | null = null;
  #stopped = false;

  constructor(spec: ProgramSpec, socket: ApiSocket, log: (text: string) => void) {
    this.spec = spec;
    this.#socket = socket;
    this.#log = log;
  }

  start(): void {
    const { name, command, args, env, logFile, takesSocket } = this.spec;
    const output = openSync(logFile, 'a', 0o640);
    // the death signal: nothing of the lab outlives a supervisor that was killed
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
      cwd: '/',
      env: { ...process.env, ...env },
      stdio: takesSocket ? ['ignore', output, output, 'ipc'] : ['ignore', output, output],
    });
    closeSync(output);
    const startedAt = Date.now();
    this.#child = child;
    child.on('error', (error) => this.#log(`${name}: ${error.message}`));
    this.#exited = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        this.#child = null;
        this.#lastExit = signal ?? `exit code ${code}`;
        resolve();
        if (this.#stopped) return;
        if (Date.now() - startedAt > HEALTHY_MS) this.#delay = FIRST_DELAY_MS;
        this.#log(
          `${name} ended (${this.#lastExit}); starting it again in ${this.#delay} ms; its log: ${logFile}`,
        );
        this.#timer = setTimeout(() => {
          this.#restarts++;
          this.start();
        }, this.#delay);
        this.#delay = Math.min(this.#delay * 2, LAST_DELAY_MS);
      });
    });
    // sent when asked for: what comes before the program listens may be lost
    child.on('message', (message: { type?: unknown }) => {
      if (!takesSocket || message.type !== 'listen') return;
      child.send(
        'listen',
        this.#socket,
        {},
        (error) => error && this.#log(`${name}: socket: ${error.message}`),
      );
    });
    this.#log(`${name} started, pid ${child.pid}`);
  }

  state(): ProgramState {
    const pid = this.#child?.pid ?? null;
    return { name: this.spec.name, pid, restarts: this.#restarts, lastExit: this.#lastExit };
  }

  /** Ends it for good: SIGTERM to the process that does the work, SIGKILL when it does not go. */
  async stop(workers: (pid: number) => readonly number[]): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (!child?.pid) return;
    const inner = workers(child.pid);
    for (const pid of inner.length ? inner : [child.pid]) signal(pid, 'SIGTERM');
    const patience = setTimeout(() => {
      for (const pid of inner) signal(pid, 'SIGKILL');
      child.kill('SIGKILL');
    }, STOP_GRACE_MS);
    await this.#exited;
    clearTimeout(patience);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has gone by itself
  }
}
