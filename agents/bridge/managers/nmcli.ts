import type { Host } from '../../host/host.js';

/** The connection that NetworkManager has up on a device. */
export interface NmConnection {
  readonly uuid: string;
  /** Its keyfile; empty when it lives in memory only. */
  readonly path: string;
  /** It only describes what others configured. */
  readonly external: boolean;
}

/** Null when NetworkManager does not run, or leaves the device alone. */
export async function nmConnectionOn(host: Host, device: string): Promise<NmConnection | null> {
  const active = await host.read('systemctl', ['is-active', 'NetworkManager.service'], {
    okCodes: [0, 1, 3, 4],
  });
  if (active.stdout.trim() !== 'active') return null;
  const shown = await host.read(
    'nmcli',
    ['-t', '-e', 'no', '-f', 'GENERAL.STATE,GENERAL.CON-UUID', 'device', 'show', device],
    { okCodes: [0, 10] },
  );
  const value = (text: string, name: string) =>
    new RegExp(`^${name}:(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const state = value(shown.stdout, 'GENERAL.STATE');
  const uuid = value(shown.stdout, 'GENERAL.CON-UUID');
  if (!uuid || Number.parseInt(state, 10) < 40) return null;
  const { stdout } = await host.read('nmcli', [
    '-t',
    '-e',
    'no',
    '-f',
    'UUID,FILENAME',
    'connection',
    'show',
  ]);
  const line = stdout.split('\n').find((l) => l.startsWith(`${uuid}:`));
  return { uuid, path: line?.slice(uuid.length + 1) ?? '', external: /externally/.test(state) };
}

/** Who NetworkManager is for the DHCP servers of a device. */
export async function nmDhcpIdentity(host: Host, device: string) {
  const { stdout } = await host.read(
    'nmcli',
    ['-t', '-e', 'no', '-f', 'DHCP4,DHCP6', 'device', 'show', device],
    {
      okCodes: [0, 10],
    },
  );
  return parseDhcpIdentity(stdout);
}

export function parseDhcpIdentity(text: string) {
  const option = (family: 4 | 6, name: string) =>
    new RegExp(`^DHCP${family}\\.OPTION\\[\\d+\\]:\\s*${name} = (.*)$`, 'm').exec(text)?.[1]?.trim() || null;
  return {
    clientId: option(4, 'dhcp_client_identifier'),
    duid: option(6, 'dhcp6_client_id'),
    iaid: option(6, 'iaid'),
  };
}
