import type { Host } from '../../host/host.js';
import {
  BridgeRefusal,
  type ManagerPlan,
  type OriginalFile,
  type TakeoverPlan,
  type UplinkManager,
} from '../manager.js';
import { linkOf, type Snapshot } from '../model.js';
import { parseIni, type Section } from './ini.js';
import { nmDisabled, nmFiles, nmReleased } from './nm-files.js';
import { nmConnectionOn, nmDhcpIdentity } from './nmcli.js';
import { withoutDad } from './without-dad.js';

const ETC = '/etc/NetworkManager/system-connections';
const RUN = '/run/NetworkManager/system-connections';

/**
 * NetworkManager with a keyfile. Its bridge is activated before its port, by name: a bridge that comes up without its port would cut
 * the host off, and a port alone would find the connection that NetworkManager makes up for a bridge it sees.
 */
export class NetworkManagerManager implements UplinkManager {
  readonly name = 'NetworkManager';
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  async plan({ bridge, uplink, snapshot }: TakeoverPlan): Promise<ManagerPlan> {
    const connection = await nmConnectionOn(this.#host, uplink);
    const link = linkOf(snapshot, uplink);
    if (!connection || !link)
      throw new BridgeRefusal(
        `NetworkManager has no connection up on ${uplink}`,
        `See nmcli device show ${uplink}.`,
      );
    const { path, uuid } = connection;
    refuseMemory(path, uplink);
    const text = await this.#host.readFile(path);
    const shared = {
      bridge,
      uplink,
      mac: link.mac,
      mtu: link.mtu,
      path,
      sections: parsed(text, path),
      implicit: { ...metricsOf(snapshot), ...(await nmDhcpIdentity(this.#host, uplink)) },
    };
    const trial = nmFiles({ ...shared, autoconnect: false });
    const kept = nmFiles({ ...shared, autoconnect: true });
    const names = [`maru-${bridge}.nmconnection`, `maru-${bridge}-${uplink}.nmconnection`];
    const trialPaths = names.map((name) => `${RUN}/${name}`);
    return {
      trialFiles: [
        { path: trialPaths[0]!, content: trial.bridgeKeyfile, mode: 0o600 },
        { path: trialPaths[1]!, content: trial.portKeyfile, mode: 0o600 },
      ],
      handOver: [
        ['nmcli', 'connection', 'load', ...trialPaths],
        ...withoutDad(snapshot, bridge, [
          ['nmcli', 'connection', 'up', 'uuid', trial.bridgeUuid],
          ['nmcli', 'connection', 'up', 'uuid', trial.portUuid],
        ]),
      ],
      handBackFirst: [],
      handBack: [
        ['nmcli', 'connection', 'reload'],
        ['nmcli', 'connection', 'up', 'uuid', uuid, 'ifname', uplink],
      ],
      permanent: [
        { path: `${ETC}/${names[0]}`, content: kept.bridgeKeyfile, mode: 0o600 },
        { path: `${ETC}/${names[1]}`, content: kept.portKeyfile, mode: 0o600 },
        { path, content: nmDisabled(text), mode: 0o600 },
      ],
      confirmCommands: [['nmcli', 'connection', 'reload']],
      dhcp: null,
      warnings: trial.warnings,
    };
  }

  async planRelease({ bridge, uplink, snapshot, originals }: TakeoverPlan): Promise<ManagerPlan> {
    const own = [`${ETC}/maru-${bridge}.nmconnection`, `${ETC}/maru-${bridge}-${uplink}.nmconnection`];
    const [bridgeText, portText] = await Promise.all(own.map((path) => this.#host.readFileIfExists(path)));
    if (bridgeText == null || portText == null) {
      throw new BridgeRefusal(
        `${own.join(' and ')} are not both there: ${bridge} was not made by maru bridge, or they were removed`,
        `Bring a connection of ${uplink} up by nmcli, and delete those of ${bridge}.`,
      );
    }
    const { file, uuid, warnings } = await this.#released(uplink, originals, bridgeText, portText);
    const trialPath = `${RUN}/maru-release-${uplink}.nmconnection`;
    const bridgeTrialPath = `${RUN}/maru-${bridge}.nmconnection`;
    const bridgeUuid = uuidIn(bridgeText, own[0]!);
    const portUuid = uuidIn(portText, own[1]!);
    return {
      // a copy with another uuid: the one in /etc must not come up by itself before the release is confirmed
      // and the bridge's hides the one in /etc of the same uuid: it must not come up again by itself without its port
      trialFiles: [
        { path: trialPath, content: onTrial(file.content!, uplink), mode: 0o600 },
        { path: bridgeTrialPath, content: nmDisabled(bridgeText), mode: 0o600 },
      ],
      handOver: [
        ...signal('CONT'),
        ['nmcli', 'connection', 'load', trialPath, bridgeTrialPath],
        ...withoutDad(snapshot, uplink, [
          ['nmcli', 'connection', 'up', 'uuid', trialUuid(uuid), 'ifname', uplink],
        ]),
      ],
      handBackFirst: [...signal('CONT'), ['nmcli', 'connection', 'reload']],
      handBack: [
        ['nmcli', 'connection', 'up', 'uuid', bridgeUuid],
        ['nmcli', 'connection', 'up', 'uuid', portUuid],
      ],
      permanent: [...own.map((path) => ({ path, content: null, mode: 0o600 })), file],
      confirmCommands: [
        ['nmcli', 'connection', 'reload'],
        ['nmcli', 'connection', 'up', 'uuid', uuid, 'ifname', uplink],
      ],
      // while it looks, it takes from a port at once what the batches give it
      dhcp: { before: signal('STOP'), after: [] },
      warnings,
    };
  }

  /** The original keyfile when it is as the takeover left it, else with its autoconnect back, else one made from the bridge's. */
  async #released(uplink: string, originals: readonly OriginalFile[], bridgeText: string, portText: string) {
    const source = /made by maru bridge from (.+);/.exec(bridgeText)?.[1] ?? '';
    const now = await this.#host.readFileIfExists(source);
    const original = originals.find((o) => o.path === source && o.content !== null);
    if (now === null) {
      const content = nmReleased(uplink, parsed(bridgeText, 'the bridge'), parsed(portText, 'the port'));
      const path = `${ETC}/maru-${uplink}.nmconnection`;
      const warnings = [
        `${source || 'the original keyfile'} is no longer there: ${path} is made from what the bridge has`,
      ];
      return { file: { path, content, mode: 0o600 }, uuid: uuidIn(content, path), warnings };
    }
    const unchanged = original !== undefined && nmDisabled(original.content!) === now;
    const content = unchanged ? original.content! : now.replace(/^autoconnect=false\n/m, '');
    const warnings = unchanged
      ? []
      : [`${source} was changed since the takeover; as it is now it will be used`];
    const file: OriginalFile = { path: source, content, mode: original?.mode ?? 0o600 };
    return { file, uuid: uuidIn(content, source), warnings };
  }
}

/** A connection of type ethernet gets its routes a metric of 100, a bridge 425: what the device has now is said explicitly. */
function metricsOf(snapshot: Snapshot) {
  const metric = (family: 4 | 6) =>
    snapshot.routes.find(
      (route) =>
        route.family === family &&
        route.table === 254 &&
        route.metric !== null &&
        route.metric !== 0 &&
        !route.destination.startsWith('fe80:') &&
        !route.destination.startsWith('ff00:') &&
        route.nextHops.some((hop) => hop.dev === snapshot.device),
    )?.metric ?? null;
  return { metric4: metric(4), metric6: metric(6) };
}

/** Makes NetworkManager pause, or go on. */
function signal(name: 'STOP' | 'CONT'): readonly (readonly string[])[] {
  return [['systemctl', 'kill', '-s', name, 'NetworkManager.service']];
}

function onTrial(keyfile: string, uplink: string): string {
  const lines = keyfile
    .split('\n')
    .filter((line) => !/^(autoconnect|id)\s*=/.test(line))
    .map((line) => line.replace(/^uuid=(.*)$/, (_, uuid: string) => `uuid=${trialUuid(uuid.trim())}`));
  const at = lines.indexOf('[connection]');
  return [
    ...lines.slice(0, at + 1),
    `id=maru-release-${uplink}`,
    'autoconnect=false',
    ...lines.slice(at + 1),
  ].join('\n');
}

/** Another one, and the same every time. */
function trialUuid(uuid: string): string {
  const first = Number.parseInt(uuid[0] ?? '0', 16);
  return (Number.isNaN(first) ? '0' : (first ^ 0xf).toString(16)) + uuid.slice(1);
}

function uuidIn(text: string, path: string): string {
  const uuid = /^uuid\s*=\s*(\S+)$/m.exec(text)?.[1];
  if (!uuid)
    throw new BridgeRefusal(
      `${path} has no uuid`,
      'Save the connection once more with nmcli connection modify.',
    );
  return uuid;
}

function refuseMemory(path: string, uplink: string): void {
  if (path.startsWith('/etc/NetworkManager/')) return;
  const netplan = path.includes('/netplan-');
  throw new BridgeRefusal(
    netplan
      ? `${uplink} is configured by netplan with the renderer NetworkManager (${path})`
      : `the connection of ${uplink} is not kept in /etc (${path || 'in memory only'}), so it would not be there after a reboot`,
    netplan
      ? 'Use the renderer networkd for it, or take it out of netplan and make a connection by nmcli; then try again.'
      : `Save it: nmcli connection modify "$(nmcli -g GENERAL.CON-UUID device show ${uplink})" connection.interface-name ${uplink}; bring it up again, and try again.`,
  );
}

function parsed(text: string, path: string): readonly Section[] {
  const sections = parseIni(text, false);
  if (!sections)
    throw new BridgeRefusal(`${path} is not a keyfile`, 'Mend it, nmcli connection reload, and try again.');
  return sections;
}
