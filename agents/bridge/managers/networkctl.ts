import type { Host } from '../../host/host.js';
import type { Lease } from '../manager.js';
import { linkOf, type Snapshot } from '../model.js';
import type { DhcpIdentity } from './networkd-files.js';

/** What networkd says of a link. */
export interface NetworkdLink {
  /** configured, configuring, unmanaged, failed … */
  readonly setup: string;
  /** The .network in force; null when there is none. */
  readonly file: string | null;
  /** IAID and DUID of its DHCPv6 client, when it has one. */
  readonly dhcp6: { readonly iaid: string; readonly duid: string } | null;
}

/** `networkctl status`, as text: its JSON exists from systemd 251 on only. Null when networkd does not run or know the link. */
export async function networkdLink(host: Host, link: string): Promise<NetworkdLink | null> {
  const active = await host.read('systemctl', ['is-active', 'systemd-networkd.service'], {
    okCodes: [0, 1, 3, 4],
  });
  if (active.stdout.trim() !== 'active') return null;
  const { stdout, exitCode } = await host.read('networkctl', ['status', '--no-pager', '--lines=0', link], {
    okCodes: [0, 1],
  });
  return exitCode === 0 ? parseStatus(stdout) : null;
}

export function parseStatus(text: string): NetworkdLink {
  const value = (name: string) =>
    new RegExp(`^[^\\S\\n]*${name}:[^\\S\\n]*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? null;
  const file = value('Network File');
  const iaid = value('DHCP6 Client IAID');
  const duid = value('DHCP6 Client DUID');
  return {
    setup: /\(([a-z-]+)\)/.exec(value('State') ?? '')?.[1] ?? 'unmanaged',
    file: file === null || file === 'n/a' ? null : file,
    dhcp6: iaid !== null && duid !== null ? { iaid, duid } : null,
  };
}

/**
 * Who networkd is for the DHCP server, from the lease it holds (`CLIENTID` in /run/systemd/netif/leases) and from its status; null
 * when it holds no lease of either family.
 */
export async function dhcpIdentity(
  host: Host,
  index: number,
  status: NetworkdLink,
): Promise<DhcpIdentity | null> {
  const lease = await host.readFileIfExists(`${LEASES}/${index}`);
  const id = /^CLIENTID=([0-9a-f]+)$/m.exec(lease ?? '')?.[1];
  return identityOf(id ?? null, status.dhcp6);
}

/**
 * The IPv4 lease that networkd holds on the snapshot's device; null when it holds none, and for a /32, whose metric means nothing.
 * networkd 252 does not read the metric of an address that it finds, and clears it when its lease is for that one.
 */
export async function networkdLease(host: Host, snapshot: Snapshot): Promise<Lease | null> {
  const index = linkOf(snapshot, snapshot.device)?.index;
  const lease = await host.readFileIfExists(`${LEASES}/${index}`);
  const leased = /^ADDRESS=(\S+)$/m.exec(lease ?? '')?.[1];
  const address = snapshot.addresses.find(
    (a) => a.family === 4 && a.address === leased && a.dynamic && a.peer === null && a.prefix < 32,
  );
  return address ? { address, renew: ['networkctl', 'renew', snapshot.device] } : null;
}

const LEASES = '/run/systemd/netif/leases';

/** From an IPv4 client identifier in hexadecimal (RFC 4361: ff, IAID, DUID; 01: a MAC) and the DHCPv6 client's own. */
export function identityOf(clientId: string | null, dhcp6: NetworkdLink['dhcp6']): DhcpIdentity | null {
  const rfc4361 = /^ff([0-9a-f]{8})([0-9a-f]{4})((?:[0-9a-f]{2})+)$/.exec(clientId ?? '');
  if (rfc4361) {
    return {
      clientIdentifier: 'duid',
      iaid: `0x${rfc4361[1]}`,
      duid: { type: Number.parseInt(rfc4361[2]!, 16), data: colons(rfc4361[3]!) },
    };
  }
  const name = /^DUID-([A-Za-z/]+):([0-9a-f:]+)$/.exec(dhcp6?.duid ?? '');
  const type = name && STATUS_DUIDS[name[1]!.toLowerCase()];
  const duid = name && type ? { type, data: colons(name[2]!.replaceAll(':', '')) } : null;
  if (clientId === null && !duid) return null;
  return { clientIdentifier: clientId === null ? 'duid' : 'mac', iaid: dhcp6?.iaid ?? null, duid };
}

/** The kinds as `networkctl status` writes them. */
const STATUS_DUIDS: Readonly<Record<string, number>> = { llt: 1, 'en/vendor': 2, ll: 3, uuid: 4 };

function colons(hex: string): string {
  return hex.match(/../g)!.join(':');
}
