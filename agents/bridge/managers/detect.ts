import type { Host } from '../../host/host.js';
import { BridgeRefusal, type UplinkManager } from '../manager.js';
import { linkOf, type Snapshot } from '../model.js';
import { noManager } from '../none-manager.js';
import { type DhcpClient, dhcpClientsOn } from './dhcp-client.js';
import { IfupdownManager, interfacesFiles } from './ifupdown.js';
import { parseInterfaces, stanzasOf } from './interfaces.js';
import { NetplanManager, netplanFiles } from './netplan.js';
import { definitionOf, rendererOf } from './netplan-files.js';
import { NetworkManagerManager } from './network-manager.js';
import { networkdLink } from './networkctl.js';
import { NetworkdManager } from './networkd.js';
import { nmConnectionOn } from './nmcli.js';

/** What was found of each program that might run a device's addresses; null or empty where it does not. */
export interface Evidence {
  /** The .network that networkd has in force on it. */
  readonly networkd: string | null;
  /** The keyfile of the connection that NetworkManager has up on it. */
  readonly networkManager: string | null;
  /** Files of interfaces(5) with an `iface` of it that gives addresses. */
  readonly ifupdown: readonly string[];
  /** ifup has brought it up, or does at boot. */
  readonly ifupdownRuns: boolean;
  /** netplan's files that define it, with their renderers. */
  readonly netplan: readonly { readonly path: string; readonly renderer: string | null }[];
  readonly clients: readonly Pick<DhcpClient, 'program' | 'pid' | 'owner'>[];
}

/** Finds out who runs the device's addresses. Refuses when two do, or when what runs now is not what would run at boot. */
export async function detectManager(host: Host, snapshot: Snapshot, device: string): Promise<UplinkManager> {
  const name = managerOf(await gatherEvidence(host, snapshot, device), device);
  switch (name) {
    case 'netplan':
      return new NetplanManager(host);
    case 'networkd':
      return new NetworkdManager(host);
    case 'NetworkManager':
      return new NetworkManagerManager(host);
    case 'ifupdown':
      return new IfupdownManager(host);
    case 'none':
      return noManager;
  }
}

/** Reads what there is to know; changes nothing. */
export async function gatherEvidence(host: Host, snapshot: Snapshot, device: string): Promise<Evidence> {
  const mac = linkOf(snapshot, device)?.mac ?? '';
  const link = await networkdLink(host, device);
  const connection = await nmConnectionOn(host, device);
  const ifupdown = (await interfacesFiles(host, device)).filter(({ content }) =>
    stanzasOf(parseInterfaces(content)).some(({ name, method }) => name === device && method !== 'manual'),
  );
  return {
    networkd: link?.file && !/^(unmanaged|failed)$/.test(link.setup) ? link.file : null,
    networkManager: connection && !connection.external ? connection.path || 'memory' : null,
    ifupdown: ifupdown.map(({ path }) => path),
    ifupdownRuns: ifupdown.length > 0 && (await ifupdownRuns(host, device)),
    netplan: (await netplanFiles(host)).flatMap(({ path, content }) => {
      const found =
        definitionOf(content, path, device, mac) ?? definitionOf(content, path, device, mac, ['bridges']);
      return found ? [{ path, renderer: rendererOf(content, path, found) }] : [];
    }),
    clients: await dhcpClientsOn(host, device),
  };
}

/** Pure: which one it is. */
export function managerOf(evidence: Evidence, device: string): UplinkManager['name'] {
  const { networkd, networkManager, ifupdown, netplan, clients } = evidence;
  const generated = networkd !== null && /\/10-netplan-/.test(networkd);
  const found = [
    ...(networkd
      ? [{ name: generated ? 'netplan' : 'networkd', why: `networkd has ${networkd} in force` } as const]
      : []),
    ...(networkManager
      ? [{ name: 'NetworkManager', why: `NetworkManager has the connection ${networkManager} up` } as const]
      : []),
    ...(evidence.ifupdownRuns
      ? [{ name: 'ifupdown', why: `${ifupdown.join(', ')} has a stanza for it` } as const]
      : []),
  ];
  if (found.length > 1) {
    throw new BridgeRefusal(
      `more than one program configures ${device}: ${found.map(({ why }) => why).join('; ')}`,
      `Decide for one and take ${device} out of the configuration of the others (networkctl status ${device}, nmcli device show ${device}, ifquery ${device}), then try again.`,
    );
  }
  const [only] = found;
  const stray = clients.filter(
    (client) =>
      !(only?.name === 'ifupdown' || (only?.name === 'NetworkManager' && client.owner === 'NetworkManager')),
  );
  if (stray.length > 0) {
    const list = stray.map((c) => `${c.program} (pid ${c.pid})`).join(', ');
    throw new BridgeRefusal(
      only
        ? `${list} works on ${device} although ${only.why}`
        : `${list} works on ${device}, and nothing that Maru knows has started it, so it would come back on ${device} at boot`,
      only
        ? `Stop it (and what starts it), and try again.`
        : `Configure ${device} with systemd-networkd, NetworkManager, netplan or ifupdown instead, and try again.`,
    );
  }
  if (!only) {
    const asleep = [
      ...netplan.map(({ path }) => `${path} (netplan)`),
      ...ifupdown.map((path) => `${path} (ifupdown)`),
    ];
    if (asleep.length > 0)
      throw new BridgeRefusal(
        `${asleep.join(' and ')} configures ${device}, but what runs now does not come from there`,
        `Apply it (netplan apply, ifup ${device}) or remove it, so that a boot gives what there is now; then try again.`,
      );
    return 'none';
  }
  if (only.name === 'networkd' || only.name === 'ifupdown') {
    const other = netplan[0];
    if (other)
      throw new BridgeRefusal(
        `${other.path} (netplan) names ${device}, but ${only.why}`,
        `Take ${device} out of one of them, and try again.`,
      );
  }
  return only.name;
}

/** Up by ifup in this boot, or listed to come up at the next. */
async function ifupdownRuns(host: Host, device: string): Promise<boolean> {
  const state = await host.readFileIfExists('/run/network/ifstate');
  if (state?.split('\n').some((line) => line.startsWith(`${device}=`))) return true;
  return (await interfacesFiles(host, device)).some(({ content }) =>
    parseInterfaces(content).some(({ kind, words }) => kind === 'auto' && words.slice(1).includes(device)),
  );
}
