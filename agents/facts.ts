import type { Heartbeat, HostFacts } from '../src/protocol/messages.js';
import { programVersion } from '../src/protocol/version.js';
import type { AgentConfig } from './config.js';
import type { Host } from './host/host.js';
import { type ProviderNetworks, withProviderNetworks } from './provider-networks.js';

/** Which way guests run, and why. */
export interface Virtualisation {
  readonly type: 'kvm' | 'qemu' | 'fake';
  readonly reason: string;
}

/** Hardware and software of the host. What cannot be found out becomes a warning, not a failure. */
export async function gatherFacts(
  host: Host,
  config: AgentConfig,
  virtualisation: Virtualisation,
  more: readonly string[] = [],
  providers?: ProviderNetworks,
): Promise<HostFacts> {
  const warnings = [...more];
  const attempt = async <T>(what: string, read: () => Promise<T>, fallback: T): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      warnings.push(`${what}: ${(error as Error).message}`);
      return fallback;
    }
  };
  const cpu = await attempt('processors', () => readProcessors(host), { model: 'unknown', count: 0 });
  const memory = await attempt('memory', () => readMemory(host), { total: 0, available: 0 });
  const disk = await attempt('disk', () => readDisk(host, config.state_dir), { total: 0, used: 0 });
  const libvirt = await attempt('libvirt', () => readLibvirt(host, config.libvirt_uri), {
    libvirt: '',
    qemu: '',
  });
  const found = providers && (await attempt('provider networks', () => providers.look(), undefined));
  const facts: HostFacts = {
    hostname: await attempt(
      'hostname',
      async () => (await host.read('uname', ['-n'])).stdout.trim(),
      config.name,
    ),
    agent_version: programVersion(),
    kernel: await attempt('kernel', async () => (await host.read('uname', ['-r'])).stdout.trim(), ''),
    cpu_model: cpu.model,
    architecture: await attempt(
      'architecture',
      async () => (await host.read('uname', ['-m'])).stdout.trim(),
      '',
    ),
    vcpus: cpu.count,
    memory_mb: Math.floor(memory.total / 1024),
    disk_gb: Math.floor(disk.total / 1024 ** 3),
    libvirt_version: libvirt.libvirt,
    qemu_version: libvirt.qemu,
    virt_type: virtualisation.type,
    virt_type_reason: virtualisation.reason,
    physical_networks: Object.keys(config.physical_networks),
    underlay_ip: config.underlay_ip,
    simulated: host.simulated,
    warnings,
  };
  return found ? withProviderNetworks(facts, found) : facts;
}

/** What is in use now. */
export async function readUsage(
  host: Host,
  stateDir: string,
  runningGuests: number,
): Promise<Heartbeat['usage']> {
  const memory = await readMemory(host);
  const disk = await readDisk(host, stateDir);
  return {
    memory_used_mb: Math.floor((memory.total - memory.available) / 1024),
    disk_used_gb: Math.round((disk.used / 1024 ** 3) * 10) / 10,
    running_guests: runningGuests,
  };
}

/**
 * Names the boot of this host. A host that lives in namespaces of its own boots without its kernel: so the start of its
 * first process (clock ticks, constant on a real machine) is part of the name.
 */
export async function readBootId(host: Host): Promise<string> {
  const kernel = (await host.readFile('/proc/sys/kernel/random/boot_id')).trim();
  const first = await host.readFileIfExists('/proc/1/stat');
  // the program's name, in brackets, may contain blanks; the start time is field 22
  const started = first?.slice(first.lastIndexOf(')') + 2).split(' ')[19];
  return started ? `${kernel}-${started}` : kernel;
}

async function readProcessors(host: Host): Promise<{ model: string; count: number }> {
  const text = await host.readFile('/proc/cpuinfo');
  const count = text.match(/^processor\s*:/gm)?.length ?? 0;
  const model = /^(?:model name|Processor|cpu model)\s*:\s*(.+)$/m.exec(text)?.[1]?.trim() ?? 'unknown';
  return { model, count };
}

/** In KiB. */
async function readMemory(host: Host): Promise<{ total: number; available: number }> {
  const text = await host.readFile('/proc/meminfo');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
  return { total: field('MemTotal'), available: field('MemAvailable') };
}

/** Bytes of the file system that holds disks. */
async function readDisk(host: Host, path: string): Promise<{ total: number; used: number }> {
  const { stdout } = await host.read('df', ['-B1', '--output=size,used', path]);
  const [total = 0, used = 0] = (stdout.trim().split('\n').at(-1) ?? '').trim().split(/\s+/).map(Number);
  return { total, used };
}

async function readLibvirt(host: Host, uri: string): Promise<{ libvirt: string; qemu: string }> {
  const { stdout } = await host.read('virsh', ['-c', uri, 'version'], { timeoutMs: 60_000 });
  return {
    libvirt: /Using library: libvirt (\S+)/.exec(stdout)?.[1] ?? '',
    qemu: /Running hypervisor: QEMU (\S+)/.exec(stdout)?.[1] ?? '',
  };
}
