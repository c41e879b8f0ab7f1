import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectKey } from '../../../src/protocol/objects.js';
import type { NetworkContext } from '../config.js';
import type { Step } from '../model.js';
import type { DnsmasqFiles } from './dnsmasq.js';

/** One dnsmasq: a network's DHCP server, or what sends a router's advertisements. */
export interface DnsmasqService {
  /** `dhcp/<network>` or `ra/<router>`: also its directory under the agent's state directory. */
  readonly name: string;
  readonly owner: ObjectKey;
  readonly netns: string;
  /** Devices it listens on: when one is made anew, it has to start again. */
  readonly devices: readonly string[];
  readonly files: DnsmasqFiles;
}

/** What one dnsmasq runs with. */
export interface ObservedDnsmasq {
  readonly files: Map<string, string>;
  running: boolean;
}

export interface DnsmasqDiff {
  readonly changed: readonly (keyof DnsmasqFiles)[];
  readonly restart: boolean;
}

const FILES = ['dnsmasq.conf', 'hosts', 'options', 'addresses'] as const;
const KINDS = ['dhcp', 'ra'];

/** Directory of a dnsmasq. */
export function dnsmasqDirectory({ config }: Pick<NetworkContext, 'config'>, name: string): string {
  return `${config.state_dir}/${name}`;
}

/** Names of all that were ever started here and not removed. */
export async function listDnsmasq({ host, config }: NetworkContext): Promise<string[]> {
  const lists = KINDS.map(async (kind) => {
    const ids = await host.listDirectory(`${config.state_dir}/${kind}`);
    return ids.map((id) => `${kind}/${id}`);
  });
  return (await Promise.all(lists)).flat();
}

/** Reads the files and looks for the process: no command is run. */
export async function observeDnsmasq(context: NetworkContext, name: string): Promise<ObservedDnsmasq> {
  const directory = dnsmasqDirectory(context, name);
  const files = new Map<string, string>();
  for (const file of FILES) {
    const text = await context.host.readFileIfExists(`${directory}/${file}`);
    if (text !== null) files.set(file, text);
  }
  return { files, running: (await runningPid(context, name)) !== null };
}

/** Whether files differ, and whether dnsmasq has to be started (again) or only told to read its hosts. */
export function diffDnsmasq(
  wanted: DnsmasqFiles,
  observed: ObservedDnsmasq | undefined,
  newDevice: boolean,
): DnsmasqDiff {
  const changed = FILES.filter((name) => observed?.files.get(name) !== wanted[name]);
  return { changed, restart: newDevice || !observed?.running || changed.includes('dnsmasq.conf') };
}

/** The same in words. */
export function dnsmasqSteps(
  context: NetworkContext,
  service: DnsmasqService,
  observed: ObservedDnsmasq,
): Step[] {
  const { owner: object, name, files } = service;
  const directory = dnsmasqDirectory(context, name);
  const { changed, restart } = diffDnsmasq(files, observed, false);
  const steps = changed.map((file) => ({ object, action: 'write', detail: `${directory}/${file}` }));
  if (restart)
    steps.push({ object, action: 'start', detail: `dnsmasq --conf-file=${directory}/dnsmasq.conf` });
  else if (changed.length) steps.push({ object, action: 'signal', detail: `SIGHUP to dnsmasq of ${name}` });
  return steps;
}

/** Writes what differs, then signals or (re)starts dnsmasq. It daemonises, so it outlives the agent. */
export async function applyDnsmasq(
  context: NetworkContext,
  service: DnsmasqService,
  observed: ObservedDnsmasq,
  newDevice: boolean,
): Promise<void> {
  const { host } = context;
  const { name, files: wanted, netns } = service;
  const directory = dnsmasqDirectory(context, name);
  const { changed, restart } = diffDnsmasq(wanted, observed, newDevice);
  if (!changed.length && !restart) return;
  if (!observed.files.size) await host.makeDirectory(directory, 0o755);
  const lost = changed.includes('hosts')
    ? lostReservations(observed.files.get('hosts') ?? '', wanted.hosts)
    : [];
  for (const file of changed) {
    await host.writeFile(`${directory}/${file}`, wanted[file], 0o644);
    observed.files.set(file, wanted[file]);
  }
  const stale = lost.length > 0 && (await hasLease(context, directory, lost));
  if (!restart && !stale) {
    const pid = await runningPid(context, name);
    if (pid !== null && host.kill(pid, 'SIGHUP')) return;
  }
  await stopDnsmasq(context, name);
  observed.running = false;
  // dnsmasq never gives an address to another MAC while the lease of the one before lasts
  if (stale) await dropLeases(context, directory, lost);
  await host.run('dnsmasq', [`--conf-file=${directory}/dnsmasq.conf`], {
    netns,
    daemon: { name: `dnsmasq-${name.replace('/', '-')}`, pidFile: `${directory}/pid`, directory },
  });
  observed.running = true;
}

/** Ends a dnsmasq and waits until it is gone: it takes its pid file away while it still holds its sockets. */
export async function stopDnsmasq(context: NetworkContext, name: string): Promise<void> {
  const pid = await runningPid(context, name);
  if (pid === null) return;
  context.host.kill(pid, 'SIGTERM');
  for (let waited = 0; waited < 2000; waited += 5) {
    if (await hasEnded(context, pid)) return;
    await sleep(5);
  }
  context.host.kill(pid, 'SIGKILL');
  await sleep(20);
}

/** Ends it and removes its files. */
export async function removeDnsmasq(context: NetworkContext, name: string): Promise<void> {
  await stopDnsmasq(context, name);
  await context.host.removeTree(dnsmasqDirectory(context, name));
}

/** The process that the pid file names, if it is this dnsmasq and not another process by now. */
async function runningPid(context: NetworkContext, name: string): Promise<number | null> {
  const { host } = context;
  const directory = dnsmasqDirectory(context, name);
  const pid = Number((await host.readFileIfExists(`${directory}/pid`))?.trim() || NaN);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return (await isDnsmasq(context, pid, name)) ? pid : null;
}

/** Gone, or only waiting for its parent: a process that is still ending has lost its command line but not its sockets. */
async function hasEnded({ host }: NetworkContext, pid: number): Promise<boolean> {
  const stat = await host.readFileIfExists(`/proc/${pid}/stat`).catch(() => null);
  return stat === null || / [ZX] /.test(stat.slice(stat.lastIndexOf(')')));
}

async function isDnsmasq(context: NetworkContext, pid: number, name: string): Promise<boolean> {
  // a process that is just ending can be opened and no longer read
  const commandLine = await context.host.readFileIfExists(`/proc/${pid}/cmdline`).catch(() => null);
  return commandLine?.includes(`${dnsmasqDirectory(context, name)}/dnsmasq.conf`) ?? false;
}

/** MAC and address pairs that are reserved no longer. */
function lostReservations(before: string, after: string): string[] {
  const kept = new Set(reservations(after));
  return reservations(before).filter((pair) => !kept.has(pair));
}

function reservations(hosts: string): string[] {
  return hosts
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [mac, address = ''] = line.split(',');
      return `${mac} ${address.replace(/[[\]]/g, '')}`;
    });
}

async function hasLease(
  context: NetworkContext,
  directory: string,
  lost: readonly string[],
): Promise<boolean> {
  const leases = (await context.host.readFileIfExists(`${directory}/leases`)) ?? '';
  return leases.split('\n').some((line) => isLost(line, lost));
}

async function dropLeases(
  { host }: NetworkContext,
  directory: string,
  lost: readonly string[],
): Promise<void> {
  const leases = (await host.readFileIfExists(`${directory}/leases`)) ?? '';
  const kept = leases.split('\n').filter((line) => !isLost(line, lost));
  await host.writeFile(`${directory}/leases`, kept.join('\n'), 0o644);
}

/** A lease line is `expiry MAC address name client-id`; DHCPv6 lines have an IAID where the MAC stands. */
function isLost(line: string, lost: readonly string[]): boolean {
  const [, mac, address] = line.split(' ');
  return lost.some(
    (pair) => pair === `${mac} ${address}` || (address?.includes(':') && pair.endsWith(` ${address}`)),
  );
}
