import { probeKvm } from '../../compute/probe.js';
import { isConfined, outside } from '../../host/confined.js';
import type { KvmFacts, MemoryFacts, ModuleFacts, ProcessorFacts, SystemFacts } from '../facts.js';
import type { Look } from '../look.js';

export async function readUid(look: Look): Promise<number> {
  return Number(await look.output('id', ['-u']));
}

export async function readSystem(look: Look): Promise<SystemFacts> {
  const [name = '', kernel = '', architecture = ''] = (await look.output('uname', ['-n', '-r', '-m']))
    .trim()
    .split(' ');
  const release = (await look.file('/etc/os-release')) ?? '';
  const field = (key: string) => new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(release)?.[1] ?? '';
  return {
    hostname: name,
    kernel,
    architecture,
    distribution: field('ID'),
    release: field('VERSION_ID'),
    systemd: await look.exists('/run/systemd/system'),
  };
}

export async function readProcessor(look: Look): Promise<ProcessorFacts> {
  const text = (await look.file('/proc/cpuinfo')) ?? '';
  const flags = new Set((/^flags\s*:\s*(.*)$/m.exec(text)?.[1] ?? '').split(/\s+/));
  return {
    model: /^model name\s*:\s*(.+)$/m.exec(text)?.[1]?.trim() ?? 'unknown',
    count: text.match(/^processor\s*:/gm)?.length ?? 0,
    extension: flags.has('vmx') ? 'vmx' : flags.has('svm') ? 'svm' : null,
    virtual: flags.has('hypervisor'),
  };
}

/** Runs the smallest of guests where KVM is wanted: whether /dev/kvm opens says nothing. */
export async function readKvm(look: Look, wanted: boolean): Promise<KvmFacts> {
  const device = await look.exists('/dev/kvm');
  const [mode = null, group = null] = device
    ? (await look.output('stat', ['-c', '%a %G', '/dev/kvm'])).trim().split(' ')
    : [];
  const seen = { device, mode, group };
  if (!wanted) return { ...seen, probe: 'not tried', reason: 'virt_type is qemu' };
  if (!device) return { ...seen, probe: 'not tried', reason: '/dev/kvm does not exist' };
  // in memory: the disk may be full, and nothing of the host's is touched
  const payload = `/dev/shm/maru-doctor-${process.pid}-${Date.now()}.img`;
  const { outcome, reason } = await probeKvm(look.host, payload);
  return { ...seen, probe: outcome, reason };
}

/** Modules that a host needs, with the symbol that gives each away in a kernel that has them built in. */
export const HOST_MODULES: Readonly<Record<string, string>> = {
  bridge: 'br_handle_frame',
  br_netfilter: 'br_nf_pre_routing',
  vxlan: 'vxlan_xmit',
  veth: 'veth_xmit',
  tun: 'tun_net_xmit',
  nf_tables: 'nf_tables_newrule',
  nf_conntrack: 'nf_conntrack_in',
  ip_set: 'ip_set_test',
  nf_nat: 'nf_nat_setup_info',
};

/** `confined`: in the sandbox of an agent's unit, where /lib/modules is hidden, so it is looked at as the first process sees it. */
export async function readModules(
  look: Look,
  kernel: string,
  confined: boolean = isConfined(),
): Promise<ModuleFacts> {
  const directory = confined
    ? (await askOutside(look, 'test', ['-d', `/lib/modules/${kernel}`])) === 0
    : await look.exists(`/lib/modules/${kernel}`);
  const modprobe = async (name: string) =>
    confined
      ? await askOutside(look, 'modprobe', ['-n', '-q', name])
      : (await look.command('modprobe', ['-n', '-q', name])).exitCode;
  const names = Object.keys(HOST_MODULES);
  const available: Record<string, boolean | null> = {};
  for (const name of names) {
    available[name] =
      (await look.exists(`/sys/module/${name}`)) || (directory && (await modprobe(name)) === 0);
  }
  const missing = names.filter((name) => !available[name]);
  if (missing.length === 0) return { directory, available };
  // what is built in and takes no parameters shows only here
  const symbols = missing.flatMap((name) => ['-e', ` ${HOST_MODULES[name]}`]);
  const { stdout } = await look.command('grep', ['-F', ...symbols, '/proc/kallsyms']);
  for (const name of missing) {
    const found = new RegExp(` ${HOST_MODULES[name]}(\\s|\\.|$)`, 'm').test(stdout);
    available[name] = found ? true : directory ? false : null;
  }
  return { directory, available };
}

/** Exit code of a silent command among the machine's own mounts. Rejects when these cannot be entered: that is no answer. */
async function askOutside(look: Look, command: string, args: readonly string[]): Promise<number> {
  const { exitCode, stderr } = await look.command(...outside(command, args));
  if (/^nsenter: /m.test(stderr))
    throw new Error(`${command}, outside of the agent's sandbox: ${stderr.trim()}`);
  return exitCode;
}

/** Settings of the kernel that checks go by; what does not exist is missing. */
export async function readSysctls(look: Look, devices: readonly string[]): Promise<Record<string, string>> {
  const names = [
    'net.bridge.bridge-nf-call-iptables',
    'net.bridge.bridge-nf-call-ip6tables',
    'net.bridge.bridge-nf-call-arptables',
    'net.netfilter.nf_conntrack_tcp_loose',
    'net.netfilter.nf_conntrack_max',
    'net.netfilter.nf_conntrack_count',
    'net.ipv4.conf.all.rp_filter',
    'net.ipv4.ip_forward',
    'net.ipv6.conf.all.disable_ipv6',
    'fs.inotify.max_user_instances',
    'fs.inotify.max_user_watches',
    'fs.file-nr',
    'kernel.unprivileged_userns_clone',
    ...devices.flatMap((device) => {
      const key = device.replaceAll('.', '/');
      return [
        `net.ipv4.conf.${key}.rp_filter`,
        `net.ipv6.conf.${key}.accept_ra`,
        `net.ipv6.conf.${key}.forwarding`,
      ];
    }),
  ];
  const { stdout } = await look.command('sysctl', ['-e', ...names]);
  const pairs = stdout.split('\n').flatMap((line) => {
    const [, name, value] = /^([^=]+?)\s*=\s*(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name.replaceAll('/', '.'), value!.trim()] as const];
  });
  return Object.fromEntries(pairs);
}

export async function readMemory(look: Look, libvirtUri: string | null): Promise<MemoryFacts> {
  const text = (await look.file('/proc/meminfo')) ?? '';
  const mib = (name: string) =>
    Math.floor(Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) / 1024);
  return {
    total: mib('MemTotal'),
    available: mib('MemAvailable'),
    swapTotal: mib('SwapTotal'),
    swapFree: mib('SwapFree'),
    guests: libvirtUri === null ? null : await guestMemory(look, libvirtUri),
  };
}

async function guestMemory(look: Look, uri: string): Promise<number | null> {
  try {
    const stats = await look.output('virsh', ['-c', uri, '-r', 'domstats', '--balloon', '--list-running']);
    const maxima = [...stats.matchAll(/^\s*balloon\.maximum=(\d+)$/gm)];
    return Math.floor(maxima.reduce((sum, [, kib]) => sum + Number(kib), 0) / 1024);
  } catch {
    return null;
  }
}
