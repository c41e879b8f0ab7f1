import type { Host } from '../host/host.js';
import { parseAddresses, parseLinks, parseNeighbours, parseRoutes, parseRules } from './ip-json.js';
import type { Family, Snapshot, SysctlState } from './model.js';

/**
 * Reads the host's network as far as it hangs on `device`. Numbers only (`-N`), so that names in /etc/iproute2 make no
 * difference. Changes nothing; rejects with CommandError.
 */
export async function takeSnapshot(host: Host, device: string): Promise<Snapshot> {
  // a device that is not there has no addresses; whoever asks finds it missing among the links
  const okCodes = [0, 1];
  const ip = async (...args: string[]) =>
    (await host.read('ip', ['-N', '-j', '-d', ...args], args.includes(device) ? { okCodes } : {})).stdout;
  const of = async <T>(what: 'route' | 'rule', parse: (json: string, family: Family) => readonly T[]) => {
    const all = what === 'route' ? ['table', 'all'] : [];
    return [
      ...parse(await ip('-4', what, 'show', ...all), 4),
      ...parse(await ip('-6', what, 'show', ...all), 6),
    ];
  };
  const links = parseLinks(await ip('link', 'show'));
  return {
    device,
    bootId: (await host.readFile('/proc/sys/kernel/random/boot_id')).trim(),
    uptimeSeconds: await uptime(host),
    links,
    addresses: parseAddresses(await ip('addr', 'show', 'dev', device), device),
    routes: await of('route', parseRoutes),
    rules: await of('rule', parseRules),
    neighbours: parseNeighbours(await ip('neigh', 'show', 'dev', device)),
    sysctls: await readSysctls(host, device),
  };
}

/** Seconds since boot, by the clock that no one sets. */
export async function uptime(host: Host): Promise<number> {
  return Number((await host.readFile('/proc/uptime')).split(' ')[0]);
}

/** The settings of one device. Those that cannot be read (a stable secret that was never set) are left out. */
export async function readSysctls(host: Host, device: string): Promise<readonly SysctlState[]> {
  const found: SysctlState[] = [];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const directory = `/proc/sys/net/${family}/conf/${device}`;
    for (const name of [...(await host.listDirectory(directory))].sort()) {
      const value = await host.readFile(`${directory}/${name}`).catch(() => null);
      if (value !== null && !NOT_COPIED.has(name))
        found.push({ path: `${family}/conf/DEV/${name}`, value: value.trim().replaceAll('\t', ' ') });
    }
  }
  return found;
}

/** mc_forwarding belongs to the multicast routing daemon, stable_secret to nobody else's eyes; tag means nothing to the kernel. */
const NOT_COPIED = new Set(['mc_forwarding', 'stable_secret', 'tag']);
