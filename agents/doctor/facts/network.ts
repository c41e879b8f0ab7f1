import type { DefaultRoute, DuplicateFacts, HostSettings, Link, PeerFacts } from '../facts.js';
import type { Look } from '../look.js';

interface RawLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address?: string;
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly stp_state?: number; readonly forward_delay?: number };
  };
  readonly addr_info: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly scope?: string;
    readonly dadfailed?: boolean;
  }[];
}

export async function readLinks(look: Look): Promise<Link[]> {
  const raw = await look.json<RawLink[]>('ip', ['-j', '-d', 'addr', 'show']);
  return raw.map(({ ifname, flags, mtu, address, master, linkinfo, addr_info }) => ({
    name: ifname,
    kind: linkinfo?.info_kind ?? null,
    mtu,
    up: flags.includes('UP'),
    carrier: flags.includes('LOWER_UP'),
    mac: address ?? '',
    master: master ?? null,
    bridge:
      linkinfo?.info_kind === 'bridge'
        ? {
            stp: (linkinfo.info_data?.stp_state ?? 0) !== 0,
            forwardDelaySeconds: (linkinfo.info_data?.forward_delay ?? 0) / 100,
          }
        : null,
    addresses: addr_info.flatMap(({ local, prefixlen, scope, dadfailed }) =>
      local === undefined
        ? []
        : [{ address: local, prefix: prefixlen ?? 0, scope: scope ?? '', dadFailed: dadfailed === true }],
    ),
  }));
}

interface RawRoute {
  readonly dev?: string;
  readonly gateway?: string;
  readonly metric?: number;
  readonly protocol?: string;
  readonly nexthops?: readonly { readonly dev: string; readonly gateway?: string }[];
}

export async function readDefaultRoutes(look: Look): Promise<DefaultRoute[]> {
  const routes: DefaultRoute[] = [];
  for (const family of [4, 6] as const) {
    const raw = await look.json<RawRoute[]>('ip', [`-${family}`, '-j', 'route', 'show', 'default']);
    for (const { dev, gateway, metric = 0, protocol = '', nexthops } of raw) {
      if (dev !== undefined) routes.push({ family, device: dev, gateway: gateway ?? null, metric, protocol });
      for (const hop of nexthops ?? [])
        routes.push({ family, device: hop.dev, gateway: hop.gateway ?? null, metric, protocol });
    }
  }
  return routes;
}

const MOST_PROBED = 8;

/**
 * Asks by ARP probes (RFC 5227: they change nobody's tables) who else has the IPv4 addresses of provider bridges. Both programs that
 * are called arping will do.
 */
export async function readDuplicates(
  look: Look,
  links: readonly Link[],
  bridges: readonly string[],
): Promise<DuplicateFacts[]> {
  const own = new Set(links.map(({ mac }) => mac.toLowerCase()));
  const asked = links
    .filter(({ name, up, carrier }) => bridges.includes(name) && up && carrier)
    .flatMap(({ name, addresses }) =>
      addresses
        .filter(({ address, scope }) => scope === 'global' && address.includes('.'))
        .map(({ address }) => ({ device: name, address })),
    )
    .slice(0, MOST_PROBED);
  if (asked.length === 0) return [];
  const help = await look.command('arping', ['--help']);
  const habets = /Habets|-0 /.test(help.stdout + help.stderr);
  const answers = await Promise.all(
    asked.map(async ({ device, address }): Promise<DuplicateFacts[]> => {
      const args = habets
        ? ['-r', '-0', '-c', '2', '-w', '2', '-i', device, address]
        : ['-D', '-c', '2', '-w', '2', '-I', device, address];
      const { stdout } = await look.command('arping', args);
      const macs = stdout.toLowerCase().match(/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g) ?? [];
      // another card of this machine on the same segment answers too, which does no harm
      return [...new Set(macs)].filter((mac) => !own.has(mac)).map((mac) => ({ device, address, mac }));
    }),
  );
  return answers.flat();
}

const MOST_PEERS = 6;

/** Whether packets of the size that tunnels need reach the other hosts whole. */
export async function readTunnelPeers(look: Look, links: readonly Link[]): Promise<PeerFacts[]> {
  const tunnels = links.filter(({ kind }) => kind === 'vxlan');
  if (tunnels.length === 0) return [];
  const entries = await look.json<{ ifname?: string; dst?: string }[]>('bridge', ['-j', 'fdb', 'show']);
  const names = new Set(tunnels.map(({ name }) => name));
  const peers = [
    ...new Set(entries.flatMap(({ ifname, dst }) => (ifname && dst && names.has(ifname) ? [dst] : []))),
  ].slice(0, MOST_PEERS);
  const largest = Math.max(...tunnels.map(({ mtu }) => mtu));
  return await Promise.all(
    peers.map(async (address) => {
      const six = address.includes(':');
      const size = largest + (six ? 70 : 50);
      // ICMP and IP headers come on top of what ping is told
      const payload = size - (six ? 48 : 28);
      const ping = async (bytes: number) =>
        (
          await look.command('ping', [
            six ? '-6' : '-4',
            '-q',
            '-n',
            ...['-c', '2', '-i', '0.2', '-W', '1', '-M', 'do', '-s', String(bytes), address],
          ])
        ).exitCode === 0;
      const fullSizeArrives = await ping(payload);
      return { address, size, fullSizeArrives, answers: fullSizeArrives || (await ping(56)) };
    }),
  );
}

const MOST_ROUTERS = 32;

/** `ip_forward` inside each router's namespace. */
export async function readRouterForwarding(look: Look): Promise<Record<string, string>> {
  const raw = await look.json<{ name: string }[]>('ip', ['-j', 'netns', 'list']);
  const routers = raw.filter(({ name }) => name.startsWith('qrouter-')).slice(0, MOST_ROUTERS);
  const found = await Promise.all(
    routers.map(async ({ name }) => {
      const { stdout } = await look.command('sysctl', ['-n', 'net.ipv4.ip_forward'], { netns: name });
      return [name, stdout.trim()] as const;
    }),
  );
  return Object.fromEntries(found.filter(([, value]) => value !== ''));
}

/** Provider bridges of a host. */
export function providerBridges(host: Pick<HostSettings, 'physical_networks'> | null): string[] {
  return host ? [...new Set(Object.values(host.physical_networks))] : [];
}
