import { FakeFiles } from './files.js';

/** A network device. */
export interface FakeLink {
  readonly name: string;
  /** As `ip -d link` calls it: bridge, vxlan, vlan, tun, veth; '' is a physical device. */
  readonly kind: string;
  up: boolean;
  mtu: number;
  mac: string;
  master: string | null;
  addressGeneration: string;
  readonly info: Record<string, number | string | boolean>;
  readonly portFlags: { learning: boolean; flood: boolean; neigh_suppress: boolean };
  /** The other end of a pair. */
  peer: { readonly netns: string; readonly name: string } | null;
  readonly addresses: Map<
    string,
    { readonly family: 4 | 6; readonly local: string; readonly prefix: number }
  >;
}

export interface FakeFdbEntry {
  readonly dev: string;
  readonly mac: string;
  readonly dst: string | null;
  readonly self: boolean;
}

export interface FakeRoute {
  readonly family: 4 | 6;
  readonly destination: string;
  readonly gateway: string | null;
  readonly dev: string;
  readonly onlink: boolean;
}

/** One table of iptables: chains with their rules, built-in ones from the start. */
export type FakeTable = Map<string, string[]>;

export interface FakeNftSet {
  readonly kind: 'set' | 'map';
  readonly elements: Set<string>;
}

export interface FakeNftTable {
  readonly chains: string[];
  rules: number;
  readonly sets: Map<string, FakeNftSet>;
}

/** A network namespace; '' is the machine's own. */
export interface FakeNamespace {
  readonly links: Map<string, FakeLink>;
  fdb: FakeFdbEntry[];
  routes: FakeRoute[];
  readonly sysctls: Map<string, string>;
  /** By family and table: `4 filter`. */
  readonly tables: Map<string, FakeTable>;
  readonly nft: Map<string, FakeNftTable>;
}

export interface FakeDomain {
  readonly uuid: string;
  name: string;
  /** Definition that the next start takes. */
  xml: string;
  /** Definition of the guest that runs; null: it is off. */
  running: string | null;
  state: 'running' | 'paused' | 'shut off';
  reason: string;
  /** False: it was undefined while it ran. */
  persistent: boolean;
  autostart: boolean;
}

export interface FakeProcess {
  readonly pid: number;
  readonly command: string;
  readonly args: readonly string[];
  readonly netns: string;
}

export interface MachineOptions {
  readonly hostname: string;
  readonly cpus?: number;
  readonly memoryMb?: number;
  readonly diskGb?: number;
  /** Provider bridges that the machine has from the start, such as br-ex. */
  readonly physicalBridges?: readonly string[];
  /** Milliseconds that a guest takes to shut down after it was asked to. */
  readonly shutdownMs?: number;
}

/** Everything that a pretended machine has. It outlives agents: a test starts another one on it. */
export class FakeMachine {
  readonly options: Required<MachineOptions>;
  readonly files = new FakeFiles();
  readonly namespaces = new Map<string, FakeNamespace>();
  readonly ipsets = new Map<string, { readonly header: string; readonly members: Set<string> }>();
  readonly domains = new Map<string, FakeDomain>();
  readonly processes = new Map<number, FakeProcess>();
  /** Who listens to libvirt's events. */
  readonly listeners = new Set<(line: string) => void>();
  /** Who listens to `ip monitor` and `nft monitor`, by tool. */
  readonly monitors = { ip: new Set<(line: string) => void>(), nft: new Set<(line: string) => void>() };
  #lastPid = 1000;
  #lastMac = 0;

  constructor(options: MachineOptions) {
    this.options = {
      cpus: 8,
      memoryMb: 32_768,
      diskGb: 1000,
      physicalBridges: ['br-ex'],
      shutdownMs: 50,
      ...options,
    };
    this.addNamespace('');
    for (const name of this.options.physicalBridges) {
      this.netns('').links.set(name, { ...this.newLink(name, 'bridge'), up: true, info: bridgeInfo() });
    }
    this.#writeProc();
  }

  /** Throws as `ip netns exec` does when there is no such namespace. */
  netns(name: string | undefined): FakeNamespace {
    const found = this.namespaces.get(name ?? '');
    if (!found)
      throw new FakeFailure(1, `Cannot open network namespace "${name}": No such file or directory\n`);
    return found;
  }

  addNamespace(name: string): void {
    const namespace: FakeNamespace = {
      links: new Map(),
      fdb: [],
      routes: [],
      sysctls: new Map(),
      tables: new Map(),
      nft: new Map(),
    };
    this.namespaces.set(name, namespace);
    namespace.links.set('lo', {
      ...this.newLink('lo', ''),
      mac: '00:00:00:00:00:00',
      mtu: 65_536,
      up: name === '',
    });
    if (name !== '') this.files.write(`/run/netns/${name}`, '', 0o444);
  }

  newLink(name: string, kind: string): FakeLink {
    const serial = (++this.#lastMac).toString(16).padStart(6, '0');
    return {
      name,
      kind,
      up: false,
      mtu: 1500,
      mac: `02:fa:ce:${serial.slice(0, 2)}:${serial.slice(2, 4)}:${serial.slice(4)}`,
      master: null,
      addressGeneration: 'eui64',
      info: kind === 'bridge' ? bridgeInfo() : {},
      portFlags: { learning: true, flood: true, neigh_suppress: false },
      peer: null,
      addresses: new Map(),
    };
  }

  /** A process that goes on after the command that started it, with the /proc entry that says what it is. */
  addProcess(command: string, args: readonly string[], netns: string): FakeProcess {
    const process = { pid: ++this.#lastPid, command, args, netns };
    this.processes.set(process.pid, process);
    this.files.write(`/proc/${process.pid}/cmdline`, [command, ...args, ''].join('\0'), 0o444);
    return process;
  }

  endProcess(pid: number): boolean {
    this.files.removeTree(`/proc/${pid}`);
    return this.processes.delete(pid);
  }

  /** Tells those who listen to libvirt. */
  domainEvent(name: string, event: string): void {
    for (const listener of this.listeners) listener(`event 'lifecycle' for domain '${name}': ${event}`);
  }

  /** Tells those who listen to a tool's monitor. */
  monitorEvent(tool: 'ip' | 'nft', line: string): void {
    for (const listener of this.monitors[tool]) listener(line);
  }

  #writeProc(): void {
    const { cpus, memoryMb } = this.options;
    const processors = Array.from(
      { length: cpus },
      (_, n) => `processor\t: ${n}\nmodel name\t: Simulated processor\n`,
    );
    this.files.write('/proc/cpuinfo', processors.join('\n'), 0o444);
    const kb = memoryMb * 1024;
    this.files.write(
      '/proc/meminfo',
      `MemTotal: ${kb} kB\nMemFree: ${kb} kB\nMemAvailable: ${kb} kB\n`,
      0o444,
    );
    this.files.write('/proc/sys/kernel/random/boot_id', `${crypto.randomUUID()}\n`, 0o444);
  }
}

/** What a command that fails says. */
export class FakeFailure extends Error {
  readonly exitCode: number;
  readonly stderr: string;
  /** What it printed all the same. */
  readonly stdout: string;

  constructor(exitCode: number, stderr: string, stdout = '') {
    super(stderr);
    this.exitCode = exitCode;
    this.stderr = stderr;
    this.stdout = stdout;
  }
}

function bridgeInfo(): Record<string, number | string> {
  return { mcast_snooping: 1, no_linklocal_learn: 0 };
}
