import { bridge } from './bridge.js';
import { ip } from './ip.js';
import { ipset } from './ipset.js';
import { restore, save } from './iptables.js';
import { FakeFailure, type FakeMachine } from './machine.js';
import { nft } from './nft.js';
import { virsh } from './virsh.js';

export interface FakeCall {
  readonly args: readonly string[];
  readonly input: string;
  readonly netns: string;
}

type FakeProgram = (machine: FakeMachine, call: FakeCall) => string;

/** The programs that the agent's parts use. Each changes the machine and gives its stdout, or throws FakeFailure. */
export const PROGRAMS: Readonly<Record<string, FakeProgram>> = {
  ip: (machine, { args, input, netns }) => ip(machine, args, input, netns),
  bridge: (machine, { args, input, netns }) => bridge(machine, args, input, netns),
  'iptables-save': (machine, { netns }) => save(machine, 4, netns),
  'ip6tables-save': (machine, { netns }) => save(machine, 6, netns),
  'iptables-restore': (machine, { input, netns }) => restore(machine, 4, input, netns),
  'ip6tables-restore': (machine, { input, netns }) => restore(machine, 6, input, netns),
  ipset: (machine, { args, input }) => ipset(machine, args, input),
  nft: (machine, { args, input, netns }) => nft(machine, args, input, netns),
  virsh: (machine, { args }) => virsh(machine, args),
  'qemu-img': (machine, { args }) => qemuImg(machine, args),
  genisoimage: (machine, { args }) => genisoimage(machine, args),
  mkswap: (machine, { args }) => format(machine, args),
  'mkfs.ext4': (machine, { args }) => format(machine, args),
  dnsmasq: (machine, { args, netns }) => dnsmasq(machine, args, netns),
  sysctl: (machine, { args, netns }) => sysctl(machine, args, netns),
  modprobe: () => '',
  conntrack: (_machine, { args }) => conntrack(args),
  uname: (machine, { args }) =>
    ({ '-n': `${machine.options.hostname}\n`, '-m': 'x86_64\n' })[args[0] ?? ''] ?? '6.1.0-simulated\n',
  df: (machine) => `1B-blocks Used\n${machine.options.diskGb * 1024 ** 3} ${usedBytes(machine)}\n`,
};

function qemuImg(machine: FakeMachine, args: readonly string[]): string {
  const [command, ...rest] = args;
  const option = (name: string) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined);
  const named = new Set(['-f', '-F', '-b', '-O', '-o']);
  const plain = rest.filter((word, index) => !word.startsWith('-') && !named.has(rest[index - 1] ?? ''));
  const { files } = machine;
  const open = (path: string) => {
    const file = files.get(path);
    if (!file) throw new FakeFailure(1, `qemu-img: Could not open '${path}': No such file or directory\n`);
    return file;
  };
  switch (command) {
    case 'info': {
      const file = open(plain[0] ?? '');
      const disk = file.disk ?? headerOf(file.content, file.size, option('-f') ?? 'raw', plain[0] ?? '');
      return JSON.stringify({
        filename: plain[0],
        format: disk.format,
        'virtual-size': disk.virtualSize,
        'actual-size': file.size,
        ...(disk.backing ? { 'backing-filename': disk.backing, 'full-backing-filename': disk.backing } : {}),
      });
    }
    case 'create': {
      const backing = option('-b') ?? null;
      const under = backing === null ? null : open(backing);
      const virtualSize = Number(plain[1] ?? under?.disk?.virtualSize ?? under?.size ?? 0);
      files.write(plain[0] ?? '', 'simulated disk', 0o600).disk = {
        format: option('-f') ?? 'raw',
        virtualSize,
        backing,
      };
      return '';
    }
    case 'convert': {
      const source = open(plain[0] ?? '');
      const { virtualSize } =
        source.disk ?? headerOf(source.content, source.size, option('-f') ?? 'raw', plain[0] ?? '');
      files.write(plain[1] ?? '', 'simulated disk', 0o600).disk = {
        format: option('-O') ?? 'raw',
        virtualSize,
        backing: null,
      };
      return '';
    }
    case 'resize': {
      const file = open(plain[0] ?? '');
      file.disk = {
        format: option('-f') ?? 'raw',
        backing: null,
        ...file.disk,
        virtualSize: Number(plain[1]),
      };
      return '';
    }
  }
  throw new FakeFailure(1, `qemu-img: Command not found: ${command}\n`);
}

/** Reads what a qcow2 file that came from outside says of itself. */
function headerOf(content: Buffer, size: number, format: string, path: string) {
  if (format !== 'qcow2') return { format, virtualSize: size, backing: null };
  if (content.length < 32 || content.readUInt32BE(0) !== 0x514649fb) {
    throw new FakeFailure(1, `qemu-img: Could not open '${path}': Image is not in qcow2 format\n`);
  }
  const [at, length] = [Number(content.readBigUInt64BE(8)), content.readUInt32BE(16)];
  const backing = at === 0 ? null : content.subarray(at, at + length).toString();
  return { format, virtualSize: Number(content.readBigUInt64BE(24)), backing };
}

function genisoimage(machine: FakeMachine, args: readonly string[]): string {
  const output = args[args.indexOf('-o') + 1] ?? '';
  const tree = args.at(-1) ?? '';
  if (!machine.files.isDirectory(tree))
    throw new FakeFailure(2, `genisoimage: No such file or directory. Invalid node - '${tree}'.\n`);
  machine.files.write(output, `simulated ISO of ${machine.files.list(tree).join(' ')}\n`, 0o600);
  return '';
}

function format(machine: FakeMachine, args: readonly string[]): string {
  const path = args.at(-1) ?? '';
  if (!machine.files.get(path)) throw new FakeFailure(1, `${path}: No such file or directory\n`);
  return '';
}

function dnsmasq(machine: FakeMachine, args: readonly string[], netns: string): string {
  const file = args.find((word) => word.startsWith('--conf-file='))?.slice('--conf-file='.length) ?? '';
  const conf = machine.files.get(file)?.content.toString();
  if (conf === undefined)
    throw new FakeFailure(3, `dnsmasq: cannot read ${file}: No such file or directory\n`);
  machine.netns(netns);
  const taken = [...machine.processes.values()].some((p) => p.command === 'dnsmasq' && p.netns === netns);
  if (taken) throw new FakeFailure(2, 'dnsmasq: failed to create listening socket: Address already in use\n');
  const { pid } = machine.addProcess('dnsmasq', args, netns);
  const pidFile = /^pid-file=(.+)$/m.exec(conf)?.[1];
  if (pidFile) machine.files.write(pidFile, `${pid}\n`, 0o644);
  return '';
}

function sysctl(machine: FakeMachine, args: readonly string[], netns: string): string {
  const { sysctls } = machine.netns(netns);
  const names = args.filter((word) => !word.startsWith('-'));
  if (!args.includes('-w')) return names.map((name) => `${name} = ${sysctls.get(name) ?? '0'}\n`).join('');
  for (const assignment of names) {
    const at = assignment.indexOf('=');
    sysctls.set(assignment.slice(0, at), assignment.slice(at + 1));
  }
  return '';
}

/** Nothing runs in simulated guests, so there are no connections. */
function conntrack(args: readonly string[]): string {
  if (args.includes('-D'))
    throw new FakeFailure(1, 'conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n');
  return '';
}

function usedBytes(machine: FakeMachine): number {
  return machine.files.paths().reduce((sum, path) => sum + (machine.files.get(path)?.size ?? 0), 0);
}
