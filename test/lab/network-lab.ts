import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandOptions, CommandResult } from '../../agents/host/host.js';
import { RealHost } from '../../agents/host/real.js';
import type { NetworkContext } from '../../agents/network/config.js';
import { tapName } from '../../src/net/names.js';

/**
 * A host, an outside world and guests, each a process with a network namespace of its own: nothing has a name, so killing
 * the processes removes every trace. The host's mounts are private too, for its own /run/netns.
 */
export class NetworkLab {
  readonly host: LabHost;
  readonly outside: Machine;
  readonly context: NetworkContext;
  readonly #machines: Machine[] = [];
  readonly #directory: string;

  private constructor(host: LabHost, outside: Machine, directory: string, underlay: string) {
    this.host = host;
    this.outside = outside;
    this.#directory = directory;
    this.#machines.push(host.machine, outside);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const config = {
      underlay_ip: underlay,
      physical_networks: { extnet: 'br-ex' },
      state_dir: join(directory, 'state'),
    };
    this.context = { host, config, log };
  }

  /** A host with br-ex, behind which the outside world is 203.0.113.1/24. */
  static async up(underlay = '192.0.2.1'): Promise<NetworkLab> {
    const directory = await mkdtemp(join(tmpdir(), 'maru-net-'));
    const host = new LabHost(await Machine.start(['-n', '-m', '--propagation', 'private'], HOST_SETUP));
    const outside = await Machine.start(['-n'], 'ip link set lo up');
    const lab = new NetworkLab(host, outside, directory, underlay);
    await host.machine.exec('ip', ['link', 'add', 'br-ex', 'type', 'bridge']);
    await host.machine.exec('ip', ['link', 'set', 'br-ex', 'up']);
    await lab.cable('ext0', outside, 'eth0', 'br-ex');
    await outside.exec('ip', ['addr', 'add', '203.0.113.1/24', 'dev', 'eth0']);
    return lab;
  }

  /** A guest of a port: its end of the cable is eth0, the host's end is named as the port's tap. */
  async guest(port: { readonly id: string; readonly mac: string; readonly mtu: number }): Promise<Machine> {
    const guest = await Machine.start(['-n'], 'ip link set lo up');
    this.#machines.push(guest);
    await this.cable(tapName(port.id), guest, 'eth0', null);
    await guest.exec('ip', ['link', 'set', 'eth0', 'address', port.mac, 'mtu', `${port.mtu}`]);
    return guest;
  }

  /** Joins two hosts by a network between them, on which each has its underlay address. */
  static async join(one: NetworkLab, other: NetworkLab): Promise<void> {
    const [a, b] = [one.host.machine, other.host.machine];
    const peer = ['peer', 'name', 'underlay', 'netns', `${b.pid}`];
    await a.exec('ip', ['link', 'add', 'underlay', 'mtu', '1600', 'type', 'veth', ...peer]);
    for (const lab of [one, other]) {
      const { machine } = lab.host;
      await machine.exec('ip', ['addr', 'add', `${lab.context.config.underlay_ip}/24`, 'dev', 'underlay']);
      await machine.exec('ip', ['link', 'set', 'underlay', 'mtu', '1600', 'up']);
    }
  }

  /** Puts both hosts on one outside segment: that of the first; the other's own outside world loses its address. */
  static async shareOutside(one: NetworkLab, other: NetworkLab): Promise<void> {
    const [a, b] = [one.host.machine, other.host.machine];
    const peer = ['peer', 'name', 'exlink', 'netns', `${b.pid}`];
    await other.outside.exec('ip', ['addr', 'flush', 'dev', 'eth0']);
    await a.exec('ip', ['link', 'add', 'exlink', 'type', 'veth', ...peer]);
    for (const machine of [a, b])
      await machine.exec('ip', ['link', 'set', 'exlink', 'master', 'br-ex', 'up']);
  }

  /** Asks for a lease as a guest does; returns what the client was told, as environment variables. */
  async dhcp(guest: Machine): Promise<Record<string, string>> {
    const script = join(this.#directory, 'udhcpc');
    await writeFile(script, DHCP_SCRIPT, { mode: 0o755 });
    const request = ['-O', 'mtu', '-O', 'staticroutes', '-O', 'bootfile', '-s', script];
    const { stdout } = await guest.exec('busybox', [
      'udhcpc',
      '-i',
      'eth0',
      '-nqf',
      '-t',
      '20',
      '-T',
      '1',
      ...request,
    ]);
    return Object.fromEntries(
      stdout
        .split('\n')
        .filter((line) => line.includes('='))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  }

  async down(): Promise<void> {
    await this.host.killDaemons(join(this.#directory, 'state'));
    for (const machine of this.#machines) machine.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  private async cable(
    hostEnd: string,
    machine: Machine,
    device: string,
    master: string | null,
  ): Promise<void> {
    const { machine: host } = this.host;
    await host.exec('ip', [
      'link',
      'add',
      hostEnd,
      'type',
      'veth',
      'peer',
      'name',
      device,
      'netns',
      `${machine.pid}`,
    ]);
    if (master) await host.exec('ip', ['link', 'set', hostEnd, 'master', master, 'up']);
    await machine.exec('ip', ['link', 'set', device, 'up']);
  }
}

const HOST_SETUP = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up';

const DHCP_SCRIPT = `#!/bin/sh
env
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip link set dev $interface mtu \${mtu:-1500}
set -- $staticroutes
while [ $# -ge 2 ]; do ip route add $1 via $2 dev $interface; shift 2; done
[ -n "$staticroutes" ] || ip route add default via $router
`;

/** A process that holds namespaces. */
export class Machine {
  readonly #process: ChildProcess;
  readonly #real = new RealHost();
  readonly #flags: readonly string[];
  readonly #started: ChildProcess[] = [];

  private constructor(process: ChildProcess, flags: readonly string[]) {
    this.#process = process;
    this.#flags = flags;
  }

  static async start(flags: readonly string[], setup: string): Promise<Machine> {
    const child = spawn('unshare', [...flags, 'sh', '-c', `${setup} && echo ready && exec sleep 3600`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', () => reject(new Error(`unshare ${flags.join(' ')} did not start: are you root?`)));
    });
    return new Machine(child, flags);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Runs a command in the machine; rejects when it fails. */
  exec(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.#real.run('nsenter', [...this.enter(), command, ...args], options);
  }

  /** Whether a command succeeds. */
  async succeeds(command: string, args: readonly string[]): Promise<boolean> {
    return this.exec(command, args).then(
      () => true,
      () => false,
    );
  }

  /** Whether an address answers the one ping that is sent, however long a busy machine takes. */
  pings(address: string, ...more: string[]): Promise<boolean> {
    return this.succeeds('ping', ['-n', '-c', '1', '-W', '10', ...more, address]);
  }

  /** Whether an address leaves a ping without an answer for a second. */
  async pingsInVain(address: string, ...more: string[]): Promise<boolean> {
    return !(await this.succeeds('ping', ['-n', '-c', '1', '-W', '1', ...more, address]));
  }

  /** A command that keeps running in the machine. */
  start(command: string, args: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [...this.enter(), command, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#started.push(child);
    return child;
  }

  stop(): void {
    for (const child of this.#started) child.kill('SIGKILL');
    this.#process.kill('SIGKILL');
  }

  enter(): string[] {
    return ['-t', `${this.pid}`, '-n', ...(this.#flags.includes('-m') ? ['-m'] : [])];
  }
}

/** The agent's interface to the lab's host; it counts what the agent runs. */
export class LabHost extends RealHost {
  readonly machine: Machine;
  /** Commands that change something, since the last reset. */
  runs: string[] = [];
  reads: string[] = [];

  constructor(machine: Machine) {
    super();
    this.machine = machine;
  }

  override read(
    command: string,
    args: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    this.reads.push([command, ...args].join(' '));
    return this.#inside(command, args, options);
  }

  override run(
    command: string,
    args: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    this.runs.push([command, ...args, options.input ?? ''].join(' ').trim());
    return this.#inside(command, args, options);
  }

  reset(): void {
    this.runs = [];
    this.reads = [];
  }

  /** Ends what was started under a state directory and would outlive the namespaces. */
  async killDaemons(stateDirectory: string): Promise<void> {
    for (const kind of ['dhcp', 'ra']) {
      for (const name of await this.listDirectory(`${stateDirectory}/${kind}`)) {
        const pid = Number(await this.readFileIfExists(`${stateDirectory}/${kind}/${name}/pid`));
        const commandLine = pid ? await this.readFileIfExists(`/proc/${pid}/cmdline`) : null;
        if (commandLine?.includes(stateDirectory)) this.kill(pid, 'SIGKILL');
      }
    }
  }

  #inside(command: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
    const { netns, ...rest } = options;
    const inner = netns ? ['ip', 'netns', 'exec', netns, command, ...args] : [command, ...args];
    return super.run('nsenter', [...this.machine.enter(), ...inner], rest);
  }
}
