import { setTimeout as sleep } from 'node:timers/promises';
import { dhcpNamespace } from '../../../src/net/names.js';
import type { DhcpObject, ObjectKey } from '../../../src/protocol/objects.js';
import type { NetworkContext } from '../config.js';
import type { Step } from '../model.js';
import { type DnsmasqFiles, renderDnsmasq } from './dnsmasq.js';

/** What one network's dnsmasq runs with. */
export interface ObservedDnsmasq {
  readonly files: Map<string, string>;
  running: boolean;
}

export interface DnsmasqDiff {
  readonly changed: readonly (keyof DnsmasqFiles)[];
  readonly restart: boolean;
}

const FILES = ['dnsmasq.conf', 'hosts', 'options', 'addresses'] as const;

/** Directory of a network's dnsmasq. */
export function dnsmasqDirectory({ config }: NetworkContext, networkId: string): string {
  return `${config.state_dir}/dhcp/${networkId}`;
}

/** Reads the files and looks for the process: no command is run. */
export async function observeDnsmasq(context: NetworkContext, networkId: string): Promise<ObservedDnsmasq> {
  const directory = dnsmasqDirectory(context, networkId);
  const files = new Map<string, string>();
  for (const name of FILES) {
    const text = await context.host.readFileIfExists(`${directory}/${name}`);
    if (text !== null) files.set(name, text);
  }
  return { files, running: (await runningPid(context, networkId)) !== null };
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
  dhcp: DhcpObject,
  object: ObjectKey,
  observed: ObservedDnsmasq,
): Step[] {
  const directory = dnsmasqDirectory(context, dhcp.network_id);
  const { changed, restart } = diffDnsmasq(renderDnsmasq(dhcp, directory), observed, false);
  const steps = changed.map((name) => ({ object, action: 'write', detail: `${directory}/${name}` }));
  if (restart)
    steps.push({ object, action: 'start', detail: `dnsmasq --conf-file=${directory}/dnsmasq.conf` });
  else if (changed.length)
    steps.push({ object, action: 'signal', detail: `SIGHUP to dnsmasq of ${dhcp.network_id}` });
  return steps;
}

/** Writes what differs, then signals or (re)starts dnsmasq. It daemonises, so it outlives the agent. */
export async function applyDnsmasq(
  context: NetworkContext,
  dhcp: DhcpObject,
  observed: ObservedDnsmasq,
  newDevice: boolean,
): Promise<void> {
  const { host } = context;
  const directory = dnsmasqDirectory(context, dhcp.network_id);
  const wanted = renderDnsmasq(dhcp, directory);
  const { changed, restart } = diffDnsmasq(wanted, observed, newDevice);
  if (!changed.length && !restart) return;
  if (!observed.files.size) await host.makeDirectory(directory, 0o755);
  const lost = changed.includes('hosts')
    ? lostReservations(observed.files.get('hosts') ?? '', wanted.hosts)
    : [];
  for (const name of changed) {
    await host.writeFile(`${directory}/${name}`, wanted[name], 0o644);
    observed.files.set(name, wanted[name]);
  }
  const stale = lost.length > 0 && (await hasLease(context, directory, lost));
  if (!restart && !stale) {
    const pid = await runningPid(context, dhcp.network_id);
    if (pid !== null && host.kill(pid, 'SIGHUP')) return;
  }
  await stopDnsmasq(context, dhcp.network_id);
  observed.running = false;
  // dnsmasq never gives an address to another MAC while the lease of the one before lasts
  if (stale) await dropLeases(context, directory, lost);
  const netns = dhcpNamespace(dhcp.network_id);
  await host.run('dnsmasq', [`--conf-file=${directory}/dnsmasq.conf`], { netns });
  observed.running = true;
}

/** Ends a network's dnsmasq and waits until it is gone. */
export async function stopDnsmasq(context: NetworkContext, networkId: string): Promise<void> {
  const pid = await runningPid(context, networkId);
  if (pid === null) return;
  context.host.kill(pid, 'SIGTERM');
  for (let waited = 0; waited < 2000; waited += 5) {
    if ((await runningPid(context, networkId)) === null) return;
    await sleep(5);
  }
  context.host.kill(pid, 'SIGKILL');
}

/** Ends it and removes its files. */
export async function removeDnsmasq(context: NetworkContext, networkId: string): Promise<void> {
  await stopDnsmasq(context, networkId);
  await context.host.removeTree(dnsmasqDirectory(context, networkId));
}

/** The process that the pid file names, if it is this network's dnsmasq and not another process by now. */
async function runningPid(context: NetworkContext, networkId: string): Promise<number | null> {
  const { host } = context;
  const directory = dnsmasqDirectory(context, networkId);
  const pid = Number((await host.readFileIfExists(`${directory}/pid`))?.trim() || NaN);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  const commandLine = await host.readFileIfExists(`/proc/${pid}/cmdline`).catch(() => null);
  return commandLine?.includes(`${directory}/dnsmasq.conf`) ? pid : null;
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
      const [mac, ...rest] = line.split(',').filter((word) => !word.startsWith('set:'));
      return `${mac} ${rest[0]!.replace(/[[\]]/g, '')}`;
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
