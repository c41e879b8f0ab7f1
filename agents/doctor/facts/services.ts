import type {
  DefaultNetworkFacts,
  GuestsServiceFacts,
  LibvirtFacts,
  ProcessFacts,
  SocketFacts,
  TimeSyncFacts,
  UnitFacts,
} from '../facts.js';
import { type Look, TooSlow } from '../look.js';

/** Programs that a host's agent runs, and those that only a first look needs. */
export const HOST_PROGRAMS: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  virsh: 'libvirt-clients',
  dnsmasq: 'dnsmasq-base',
  ip: 'iproute2',
  bridge: 'iproute2',
  'iptables-restore': 'iptables',
  nft: 'nftables',
  ipset: 'ipset',
  conntrack: 'conntrack',
  sysctl: 'procps',
  modprobe: 'kmod',
  setpriv: 'util-linux',
  arping: 'arping',
};

export async function readPrograms(look: Look): Promise<Record<string, boolean>> {
  const names = Object.keys(HOST_PROGRAMS);
  const { stdout } = await look.command('which', names);
  const found = new Set(stdout.split('\n').map((path) => path.split('/').at(-1)));
  return Object.fromEntries(names.map((name) => [name, found.has(name)]));
}

export async function readProcesses(look: Look): Promise<ProcessFacts[]> {
  const text = await look.output('ps', ['-e', '-ww', '-o', 'pid=,comm=,args=']);
  return text.split('\n').flatMap((line) => {
    const [, pid, name, command] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), name: name!, command: command!.slice(0, 300) }];
  });
}

/** What listens, in this namespace. */
export async function readSockets(look: Look): Promise<SocketFacts[]> {
  const text = await look.output('ss', ['-H', '-l', '-n', '-t', '-u', '-p']);
  return text.split('\n').flatMap((line) => {
    const [protocol, , , , local, , users] = line.trim().split(/\s+/);
    const [, address, port] = /^(.*):(\d+)$/.exec(local ?? '') ?? [];
    if ((protocol !== 'tcp' && protocol !== 'udp') || port === undefined) return [];
    const [, process, pid] = /"([^"]+)",pid=(\d+)/.exec(users ?? '') ?? [];
    return [
      {
        protocol,
        address: address!.replace(/^\[|\]$/g, ''),
        port: Number(port),
        process: process ?? null,
        pid: pid === undefined ? null : Number(pid),
      },
    ];
  });
}

/** Units that checks ask for. */
const UNITS = [
  'maru-controller.service',
  'maru-agent.service',
  'maru-bridge-revert.service',
  'libvirtd.service',
  'libvirtd.socket',
  'virtqemud.service',
  'virtqemud.socket',
  'virtlogd.service',
  'virtlogd.socket',
  'libvirt-guests.service',
  'firewalld.service',
  'ufw.service',
  'dnsmasq.service',
];

export async function readUnits(look: Look): Promise<UnitFacts> {
  const properties = ['--property=Id,LoadState,ActiveState'];
  const [failed, shown] = await Promise.all([
    look.output('systemctl', ['list-units', '--state=failed', '--plain', '--no-legend', '--no-pager']),
    look.output('systemctl', ['show', ...properties, ...UNITS]),
  ]);
  const states: Record<string, string> = {};
  for (const block of shown.split('\n\n')) {
    const field = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(block)?.[1] ?? '';
    if (field('LoadState') === 'loaded') states[field('Id')] = field('ActiveState');
  }
  return {
    failed: failed
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[0]!)
      .filter(Boolean),
    states,
  };
}

/** Asks libvirt for its version; one that hangs is told from one that refuses. */
export async function readLibvirt(look: Look, uri: string): Promise<LibvirtFacts> {
  const sockets = ['/run/libvirt/libvirt-sock', '/run/libvirt/virtqemud-sock'];
  const socket = (await Promise.all(sockets.map((path) => look.exists(path)))).some(Boolean);
  try {
    const { stdout, stderr, exitCode } = await look.command('virsh', ['-c', uri, 'version']);
    if (exitCode !== 0) {
      return { socket, answers: 'no', problem: stderr.trim().slice(0, 300), version: null, qemu: null };
    }
    return {
      socket,
      answers: 'yes',
      problem: null,
      version: /Using library: libvirt (\S+)/.exec(stdout)?.[1] ?? null,
      qemu: /Running hypervisor: QEMU (\S+)/.exec(stdout)?.[1] ?? null,
    };
  } catch (error) {
    const problem = (error as Error).message;
    return { socket, answers: error instanceof TooSlow ? 'hangs' : 'no', problem, version: null, qemu: null };
  }
}

/** What libvirt-guests does at boot: its own default is to start what ran before. */
export async function readLibvirtGuests(look: Look): Promise<GuestsServiceFacts> {
  const text = (await look.file('/etc/default/libvirt-guests')) ?? '';
  const set = [...text.matchAll(/^\s*ON_BOOT=["']?(\w+)/gm)].at(-1)?.[1];
  const wanted = '/etc/systemd/system/multi-user.target.wants/libvirt-guests.service';
  return { enabled: await look.exists(wanted), onBoot: set ?? 'start' };
}

export async function readDefaultNetwork(look: Look, uri: string): Promise<DefaultNetworkFacts> {
  const directory = '/etc/libvirt/qemu/networks';
  const [definition, autostart, active] = await Promise.all([
    look.file(`${directory}/default.xml`),
    look.exists(`${directory}/autostart/default.xml`),
    look
      .output('virsh', ['-c', uri, '-r', 'net-list', '--name'])
      .then((names) => names.split('\n').some((name) => name.trim() === 'default'))
      .catch(() => false),
  ]);
  const [, address, mask] =
    /<ip address=['"]([\d.]+)['"] netmask=['"]([\d.]+)['"]/.exec(definition ?? '') ?? [];
  return { active, autostart, subnet: address && mask ? `${address}/${prefixOf(mask)}` : null };
}

function prefixOf(mask: string): number {
  return mask
    .split('.')
    .reduce((bits, octet) => bits + Number(octet).toString(2).replaceAll('0', '').length, 0);
}

const TIME_DAEMONS = [
  'systemd-timesyn',
  'chronyd',
  'ntpd',
  'ntpsec',
  'openntpd',
  'phc2sys',
  'VBoxService',
  'vmtoolsd',
];

export async function readTimeSync(
  look: Look,
  processes: readonly ProcessFacts[],
  systemd: boolean,
): Promise<TimeSyncFacts> {
  const daemon = processes.find(({ name }) => TIME_DAEMONS.includes(name.slice(0, 15)))?.name ?? null;
  if (!systemd) return { synchronized: null, daemon };
  const { stdout } = await look.command('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
  const said = stdout.trim();
  return { synchronized: said === 'yes' ? true : said === 'no' ? false : null, daemon };
}

/** The kernel's last refusals by AppArmor or SELinux that concern guests. */
export async function readDenials(look: Look, systemd: boolean): Promise<string[]> {
  const { stdout } = systemd
    ? await look.command('journalctl', ['-k', '-b', '-n', '3000', '-o', 'cat', '--no-pager'])
    : await look.command('dmesg', []);
  const lines = stdout
    .split('\n')
    .filter(
      (line) => /apparmor="DENIED"|avc:\s+denied/.test(line) && /qemu|libvirt|svirt|dnsmasq/.test(line),
    );
  return [...new Set(lines.map((line) => line.replace(/^.*?(apparmor=|avc:)/, '$1').slice(0, 240)))].slice(
    -5,
  );
}
