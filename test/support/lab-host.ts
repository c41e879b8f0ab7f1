import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { CommandOptions, CommandResult, Pipe } from '../../agents/host/host.js';
import { RealHost } from '../../agents/host/real.js';

/**
 * A host for one test file: network, mount, UTS and PID namespaces with a libvirt of its own. Commands run in it; files are those
 * of the machine, in `directory`. `runs` counts the changing commands, so that a second apply can be seen to need none.
 */
export class LabHost extends RealHost {
  readonly directory: string;
  readonly #init: number;
  /** Command lines given to `run` since the list was last emptied. */
  runs: string[] = [];
  /** What the host's clock shows; a test that sets it says itself when time passes. */
  clock: () => Date = () => new Date();
  /** Called before each changing command; a test that throws here has the agent die at that point. */
  beforeRun: (command: string, args: readonly string[]) => void = () => {};

  private constructor(directory: string, init: number) {
    super();
    this.directory = directory;
    this.#init = init;
  }

  /** Starts a host; its libvirt answers when this resolves. */
  static async start(): Promise<LabHost> {
    await mkdir('/tmp/maru-test', { recursive: true });
    const directory = await mkdtemp('/tmp/maru-test/host-');
    for (const name of ['etc/qemu', 'lib', 'log', 'cache'])
      await mkdir(`${directory}/${name}`, { recursive: true });
    // what libvirt knows of QEMU is asked of QEMU once, which takes seconds
    if (await exists(CACHE)) await cp(CACHE, `${directory}/cache`, { recursive: true });
    for (const [name, text] of Object.entries(configuration(directory)))
      await writeFile(`${directory}/${name}`, text);
    const child = execa(
      'unshare',
      [
        '-n',
        '-m',
        '-u',
        '-p',
        '-f',
        '--kill-child',
        '--mount-proc',
        '--propagation',
        'private',
        'bash',
        `${directory}/init.sh`,
      ],
      {
        reject: false,
        stdin: 'ignore',
        stdout: { file: `${directory}/init.log` },
        stderr: { file: `${directory}/init.log` },
        detached: true,
      },
    );
    await until('the lab host', 60_000, () => exists(`${directory}/up`));
    const { stdout } = await execa('pgrep', ['-P', String(child.pid)]);
    const host = new LabHost(directory, Number(stdout.trim()));
    await until('libvirt of the lab host', 120_000, async () => {
      const { exitCode } = await execa('nsenter', host.inside('virsh', ['-c', LIBVIRT_URI, 'capabilities']), {
        reject: false,
      });
      return exitCode === 0;
    });
    if (!(await exists(CACHE))) {
      // complete, or not there: also when two begin at once, or one is killed
      await cp(`${directory}/cache`, `${directory}/shared-cache`, { recursive: true });
      await rename(`${directory}/shared-cache`, CACHE).catch(() => {});
    }
    return host;
  }

  /** Ends everything that runs in the host and removes its files. */
  async stop(): Promise<void> {
    process.kill(this.#init, 'SIGKILL');
    await until('the end of the lab host', 60_000, async () => !(await exists(`/proc/${this.#init}/ns/net`)));
    await rm(this.directory, { recursive: true, force: true });
  }

  override read(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult> {
    return super.read('nsenter', this.inside(...namespaced(command, args, options)), withoutNetns(options));
  }

  override run(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult> {
    this.beforeRun(command, args);
    this.runs.push([command, ...args].join(' '));
    return super.run('nsenter', this.inside(...namespaced(command, args, options)), withoutNetns(options));
  }

  override openPipe(command: string, args: readonly string[]): Pipe {
    return super.openPipe('nsenter', this.inside(command, args));
  }

  override readFileIfExists(path: string): Promise<string | null> {
    return super.readFileIfExists(this.own(path));
  }

  override stat(path: string) {
    return super.stat(this.own(path));
  }

  override watchDirectory(path: string, onChange: (name: string) => void): { close(): void } {
    return super.watchDirectory(this.own(path), onChange);
  }

  override now(): Date {
    return this.clock();
  }

  /** Process numbers are the host's own. */
  override kill(pid: number, signal: NodeJS.Signals | 0): boolean {
    try {
      const name = signal === 0 ? '0' : signal.slice(3);
      execFileSync('nsenter', this.inside('kill', [`-${name}`, `${pid}`]), { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  }

  /** What a host has for itself of the file system: the rest is the machine's. */
  private own(path: string): string {
    return /^\/(proc|run)\//.test(path) ? `/proc/${this.#init}/root${path}` : path;
  }

  /** What `pgrep -f` finds among the host's processes; those that have ended and wait for their parent are none. */
  async pids(pattern: string): Promise<number[]> {
    const { stdout } = await this.read('pgrep', ['-r', 'D,R,S,T', '-f', pattern], { okCodes: [0, 1] });
    return stdout.split('\n').filter(Boolean).map(Number);
  }

  /** Kills a process and waits until it has gone. */
  async end(pid: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.kill(pid, signal);
    await until(`the end of process ${pid} by ${signal}`, 60_000, async () => {
      const status = await textOf(`/proc/${this.#init}/root/proc/${pid}/status`);
      return !/^State:\s+[^ZX]/m.test(status);
    });
  }

  private inside(command: string, args: readonly string[]): string[] {
    return ['-t', String(this.#init), '-m', '-n', '-u', '-p', '--', command, ...args];
  }
}

export const LIBVIRT_URI = 'qemu:///system';
const CACHE = '/tmp/maru-test/libvirt-cache';

/** Waits until a condition holds; throws with what was waited for. */
export async function until(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${timeoutMs} ms`);
    await sleep(50);
  }
}

/** Text of a file, or nothing. */
export async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

function configuration(directory: string): Record<string, string> {
  return {
    'etc/libvirtd.conf': `unix_sock_group = "root"
auth_unix_rw = "none"
auth_unix_ro = "none"
listen_tls = 0
host_uuid = "${randomUUID()}"
`,
    'etc/qemu.conf': `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
seccomp_sandbox = 0
`,
    // an init that reaps: libvirt's probes of QEMU leave orphans
    'init.sh': `hostname lab
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/libvirt
mount --bind ${directory}/etc /etc/libvirt
mount --bind ${directory}/lib /var/lib/libvirt
mount --bind ${directory}/log /var/log/libvirt
mount --bind ${directory}/cache /var/cache/libvirt
ip link set lo up
virtlogd -d
libvirtd -d
touch ${directory}/up
while :; do sleep 1000 & wait -n; done
`,
  };
}

function namespaced(
  command: string,
  args: readonly string[],
  options?: CommandOptions,
): [string, readonly string[]] {
  return options?.netns === undefined
    ? [command, args]
    : ['ip', ['netns', 'exec', options.netns, command, ...args]];
}

function withoutNetns(options?: CommandOptions): CommandOptions {
  const { netns: _netns, ...rest } = options ?? {};
  return rest;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
