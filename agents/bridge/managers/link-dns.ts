import type { Host } from '../../host/host.js';

/** What systemd-resolved was told about a link by someone other than networkd or NetworkManager, as commands that tell it of another. */
export interface LinkDns {
  readonly handOver: readonly (readonly string[])[];
  readonly handBack: readonly (readonly string[])[];
}

/**
 * DNS servers and domains of `from` said again for `to`. systemd-resolved forgets nothing by itself when a link loses its addresses,
 * but it asks through that link, and a port of a bridge answers nothing.
 */
export async function moveLinkDns(host: Host, from: string, to: string): Promise<LinkDns> {
  const active = await host.read('systemctl', ['is-active', 'systemd-resolved.service'], {
    okCodes: [0, 1, 3, 4],
  });
  if (active.stdout.trim() !== 'active') return { handOver: [], handBack: [] };
  const [servers, domains, route] = await Promise.all(
    ['dns', 'domain', 'default-route'].map(async (what) =>
      valuesOf((await host.read('resolvectl', [what, from], { okCodes: [0, 1] })).stdout),
    ),
  );
  return linkDnsCommands(servers!, domains!, route![0] ?? null, from, to);
}

/** Pure: the commands, none when the link has no servers and no domains. */
export function linkDnsCommands(
  servers: readonly string[],
  domains: readonly string[],
  defaultRoute: string | null,
  from: string,
  to: string,
): LinkDns {
  if (servers.length === 0 && domains.length === 0) return { handOver: [], handBack: [] };
  const tell = (link: string) => [
    ...(servers.length > 0 ? [['resolvectl', 'dns', link, ...servers]] : []),
    ...(domains.length > 0 ? [['resolvectl', 'domain', link, ...domains]] : []),
    ...(defaultRoute === null ? [] : [['resolvectl', 'default-route', link, defaultRoute]]),
  ];
  return { handOver: [...tell(to), ['resolvectl', 'revert', from]], handBack: tell(from) };
}

/** `Link 2 (eth0): 192.0.2.53 2001:db8::53` */
export function valuesOf(output: string): readonly string[] {
  return output
    .replace(/^[^:]*\):/, '')
    .trim()
    .split(/\s+/)
    .filter(Boolean);
}
