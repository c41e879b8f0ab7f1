import type { NetworkContext } from '../config.js';
import { fdbKey, type LinksObserved, type ObservedLink } from './model.js';

/** Reads the devices of the host's own namespace and their static forwarding entries: two commands. */
export async function observeLinks({ host }: NetworkContext): Promise<LinksObserved> {
  const [links, fdb] = await Promise.all([
    host.read('ip', ['-j', '-d', 'link', 'show']),
    host.read('bridge', ['-j', 'fdb', 'show']),
  ]);
  return { links: parseLinks(links.stdout), fdb: parseFdb(fdb.stdout) };
}

/** Taps that a process has open just now: those have a carrier. */
export async function usedTaps({ host }: NetworkContext): Promise<ReadonlySet<string>> {
  const { stdout } = await host.read('ip', ['-j', '-d', 'link', 'show', 'type', 'tun']);
  const all = JSON.parse(stdout || '[]') as RawLink[];
  return new Set(all.filter(({ flags }) => flags?.includes('LOWER_UP')).map(({ ifname }) => ifname));
}

/** Output of `ip -j -d link show`. */
export function parseLinks(json: string): Map<string, ObservedLink> {
  const all = JSON.parse(json || '[]') as RawLink[];
  return new Map(
    all.map((raw) => {
      const info = raw.linkinfo?.info_data ?? {};
      const slave = raw.linkinfo?.info_slave_kind === 'bridge' ? (raw.linkinfo.info_slave_data ?? {}) : {};
      return [
        raw.ifname,
        {
          name: raw.ifname,
          kind: raw.linkinfo?.info_kind ?? '',
          up: raw.flags.includes('UP'),
          mtu: raw.mtu,
          master: raw.master ?? null,
          addressGeneration: raw.inet6_addr_gen_mode ?? 'none',
          learning: slave.learning ?? null,
          flood: slave.flood ?? null,
          neighSuppress: slave.neigh_suppress ?? null,
          multicastSnooping: toBoolean(info.mcast_snooping),
          noLinklocalLearn: toBoolean(info.no_linklocal_learn),
          vni: info.id ?? null,
          local: info.local ?? info.local6 ?? null,
          vxlanLearning: info.learning ?? null,
          vxlanPort: info.port ?? null,
        },
      ];
    }),
  );
}

/** Output of `bridge -j fdb show`: static bridge entries and the destinations of VXLAN devices. */
export function parseFdb(json: string): LinksObserved['fdb'] {
  const all = JSON.parse(json || '[]') as RawFdb[];
  const entries: LinksObserved['fdb'] = new Map();
  for (const { mac, ifname, dst, master, state } of all) {
    // permanent bridge entries are the devices' own addresses, entries without state were learned
    if (dst === undefined && !(master !== undefined && state === 'static')) continue;
    const entry = { dev: ifname, mac, dst: dst ?? null };
    entries.set(fdbKey(entry), entry);
  }
  return entries;
}

function toBoolean(value: number | undefined): boolean | null {
  return value === undefined ? null : value === 1;
}

interface RawLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly master?: string;
  readonly inet6_addr_gen_mode?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: {
      readonly id?: number;
      readonly local?: string;
      readonly local6?: string;
      readonly learning?: boolean;
      readonly port?: number;
      readonly mcast_snooping?: number;
      readonly no_linklocal_learn?: number;
    };
    readonly info_slave_kind?: string;
    readonly info_slave_data?: {
      readonly learning?: boolean;
      readonly flood?: boolean;
      readonly neigh_suppress?: boolean;
    };
  };
}

interface RawFdb {
  readonly mac: string;
  readonly ifname: string;
  readonly dst?: string;
  readonly master?: string;
  readonly state?: string;
}
