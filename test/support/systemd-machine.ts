import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { INIT_SCRIPT } from './systemd/init.js';
import {
  cgroupOf,
  emptyCgroup,
  killCgroup,
  removeLeftovers,
  removeMachine,
  removeNetns,
  takeName,
} from './systemd/leftovers.js';
import { maskUnits } from './systemd/units.js';

export interface MachineOptions {
  /** Lower-case letters, digits and dashes; one machine of a name at a time. */
  readonly name: string;
  /** Written into its root before it starts. */
  readonly files?: Readonly<Record<string, string | { readonly content: string; readonly mode: number }>>;
  /** Units of the image that may run, with their sockets; all others of the image are masked. */
  readonly enable?: readonly string[];
  /** Default: the name. */
  readonly hostname?: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const BOOT_MS = 300_000;
const RUN_MS = 300_000;

/**
 * A machine of its own: real systemd as PID 1 in PID, mount, network, UTS, IPC and cgroup namespaces over an overlay of this
 * machine's root. Its disk is in memory, /sys and kernel.* are read-only, net.* are its own; the checkout is at its own path, read-only.
 */
export class SystemdMachine {
  /** Name below /run/netns of this machine that is its network, empty but for `lo` after each start; veths are moved there. */
  readonly netns: string;
  /** Its root directory as seen from here, also while it is off. */
  readonly root: string;
  readonly #name: string;
  readonly #cgroup: string;
  #init: number | null = null;

  private constructor(name: string, directory: string, cgroup: string) {
    this.#name = name;
    this.netns = `maru-sd-${name}`;
    this.root = `${directory}/root`;
    this.#cgroup = cgroup;
  }

  /** Starts it and waits until systemd says running or degraded. What machines of ended tests have left is removed first. */
  static async start(options: MachineOptions): Promise<SystemdMachine> {
    await removeLeftovers();
    const directory = await takeName(options.name);
    const machine = new SystemdMachine(options.name, directory, await cgroupOf(options.name));
    try {
      await machine.#makeDisk(directory, options);
      await machine.#boot();
      return machine;
    } catch (error) {
      const console = await readFile(`${directory}/console.log`, 'utf8').catch(() => '');
      await machine.stop();
      throw new Error(`machine ${options.name} does not start: ${(error as Error).message}\n${console}`);
    }
  }

  /** Runs a command inside all its namespaces, as root, in an empty environment; any exit code is an answer. */
  async run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    const timeoutMs = options.timeoutMs ?? RUN_MS;
    const deadline = Date.now() + timeoutMs;
    const env = { PATH, HOME: '/root', LANG: 'C.UTF-8', ...options.env };
    const inner = ['env', '-i', ...Object.entries(env).map(([key, value]) => `${key}=${value}`)];
    // what is killed from here leaves its children: only the machine can end them
    const limit = ['timeout', '--foreground', '-s', 'KILL', String(timeoutMs / 1000)];
    const { exitCode, stdout, stderr } = await this.#enter(
      [...inner, ...limit, command, ...args],
      options.input,
    );
    if (exitCode === 137 && Date.now() >= deadline) {
      throw new Error(
        `${this.#name}: ${[command, ...args].join(' ')}: not done within ${timeoutMs} ms; so far\n${stdout}\n${stderr}`,
      );
    }
    return { exitCode, stdout, stderr };
  }

  /** The same, gives stdout; throws with all that was said when the command fails. */
  async must(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(command, args, options);
    if (exitCode !== 0) {
      throw new Error(
        `${this.#name}: ${[command, ...args].join(' ')}: exit code ${exitCode}\n${stderr}\n${stdout}`,
      );
    }
    return stdout;
  }

  /** Writes a file, and the directories above it. While the machine is off: on its disk. */
  async write(path: string, content: string, mode = 0o644): Promise<void> {
    const octal = mode.toString(8);
    const script = `set -e; mkdir -p "$(dirname "$1")"; cat >"$1"; chmod ${octal} "$1"`;
    if (this.#init !== null) await this.must('sh', ['-c', script, 'write', path], { input: content });
    else {
      await mkdir(dirname(join(this.root, path)), { recursive: true });
      await writeFile(join(this.root, path), content, { mode });
    }
  }

  /** A file's text; null when there is none. */
  async read(path: string): Promise<string | null> {
    if (this.#init === null) return readFile(join(this.root, path), 'utf8').catch(() => null);
    const { exitCode, stdout } = await this.run('cat', [path]);
    return exitCode === 0 ? stdout : null;
  }

  /**
   * Hard: every process killed at once, network, /run, /tmp and /dev/shm empty, then booted again on the same disk.
   * `afterPowerOff` plugs the cables in again.
   */
  async reboot(afterPowerOff: () => Promise<void> = async () => {}): Promise<void> {
    await this.powerOff();
    await afterPowerOff();
    await this.#boot();
  }

  /** Hard; `reboot` switches it on again. */
  async powerOff(): Promise<void> {
    this.#init = null;
    await killCgroup(this.#cgroup);
    await emptyCgroup(this.#cgroup);
    await removeNetns(this.netns);
    await execa('ip', ['netns', 'add', this.netns]);
  }

  /** Removes every trace; also after a failed start, and again. */
  async stop(): Promise<void> {
    this.#init = null;
    await removeMachine(this.#name);
  }

  async #makeDisk(directory: string, { name, files = {}, enable = [], hostname = name }: MachineOptions) {
    await execa('mount', ['-t', 'tmpfs', '-o', 'mode=755,size=16g', this.netns, directory]);
    for (const part of ['upper', 'work', 'root']) await mkdir(join(directory, part));
    const layers = `lowerdir=/,upperdir=${directory}/upper,workdir=${directory}/work`;
    await execa('mount', ['-t', 'overlay', '-o', layers, this.netns, this.root]);
    await maskUnits(this.root, enable);
    const machineId = (await readFile('/proc/sys/kernel/random/uuid', 'utf8')).replaceAll('-', '');
    const all: NonNullable<MachineOptions['files']> = {
      '/etc/machine-id': machineId,
      '/etc/hostname': `${hostname}\n`,
      '/etc/hosts': `127.0.0.1 localhost\n127.0.1.1 ${hostname}\n::1 localhost ip6-localhost\n`,
      '/etc/fstab': '',
      ...files,
    };
    for (const [path, file] of Object.entries(all)) {
      const { content, mode } = typeof file === 'string' ? { content: file, mode: 0o644 } : file;
      await mkdir(dirname(join(this.root, path)), { recursive: true });
      await writeFile(join(this.root, path), content, { mode });
    }
    await execa('ip', ['netns', 'add', this.netns]);
    await mkdir(this.#cgroup);
  }

  async #boot(): Promise<void> {
    const namespaces = ['-m', '-u', '-i', '-p', '-C', '-f', '--propagation', 'private'];
    const init = ['sh', '-euc', INIT_SCRIPT, 'init', this.root, CHECKOUT];
    const network = ['nsenter', `--net=/run/netns/${this.netns}`];
    const group = ['sh', '-euc', `echo 0 >"$0/cgroup.procs"; exec "$@"`, this.#cgroup];
    const [command = '', ...args] = [...group, ...network, 'unshare', ...namespaces, ...init];
    const log = { file: join(dirname(this.root), 'console.log'), append: true } as const;
    const child = execa(command, args, {
      reject: false,
      detached: true,
      cleanup: false,
      stdin: 'ignore',
      stdout: log,
      stderr: log,
    });
    child.unref();
    await this.#within('its init', async () => {
      if (child.exitCode !== null) throw new Error(`its init ended with exit code ${child.exitCode}`);
      const pids = await readFile(`${this.#cgroup}/init.scope/cgroup.procs`, 'utf8').catch(() => '');
      this.#init = Number(pids.split('\n')[0]) || null;
      return this.#init !== null;
    });
    await this.#within('systemd', async () => {
      const { stdout } = await this.run('systemctl', ['is-system-running']);
      return /^(running|degraded)$/.test(stdout.trim());
    });
  }

  async #within(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + BOOT_MS;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error(`${what} is not up within ${BOOT_MS} ms`);
      await sleep(50);
    }
  }

  async #enter(words: readonly string[], input = ''): Promise<RunResult> {
    if (this.#init === null) throw new Error(`machine ${this.#name} is off`);
    await access(`/proc/${this.#init}/ns/mnt`).catch(() => {
      throw new Error(`machine ${this.#name} has ended by itself`);
    });
    // in its control group, so that it dies with it
    const script = `mkdir -p "$0"; echo 0 >"$0/cgroup.procs"; exec "$@"`;
    const nsenter = ['nsenter', '-t', String(this.#init), '-m', '-n', '-u', '-i', '-p', '-C', '--'];
    const { exitCode, signal, stdout, stderr, shortMessage } = await execa(
      'sh',
      ['-euc', script, `${this.#cgroup}/test.scope`, ...nsenter, ...words],
      { reject: false, input, stripFinalNewline: false, maxBuffer: 64 * 1024 * 1024 },
    );
    if (exitCode === undefined && signal === undefined) throw new Error(`${this.#name}: ${shortMessage}`);
    // as a shell says it
    return { exitCode: exitCode ?? 128 + constants.signals[signal as NodeJS.Signals], stdout, stderr };
  }
}
