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
    // the last one hides the original, which would come up again on the uplink as soon as the bridge has taken its place
    const trialPaths = [...names, `maru-original-${uplink}.nmconnection`].map((name) => `${RUN}/${name}`);
    return {
      trialFiles: [
        { path: trialPaths[0]!, content: trial.bridgeKeyfile, mode: 0o600 },
        { path: trialPaths[1]!, content: trial.portKeyfile, mode: 0o600 },
        { path: trialPaths[2]!, content: nmDisabled(text), mode: 0o600 },
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
      lease: null,
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
    const portTrialPath = `${RUN}/maru-${bridge}-${uplink}.nmconnection`;
    const load = ['nmcli', 'connection', 'load', trialPath, bridgeTrialPath, portTrialPath];
    const bridgeUuid = uuidIn(bridgeText, own[0]!);
    const portUuid = uuidIn(portText, own[1]!);
    return {
      // each hides the one in /etc of the same uuid: so the original is up already when its file takes over on confirmation, and
      // neither bridge nor port come up again by themselves
      trialFiles: [
        { path: trialPath, content: file.content!, mode: 0o600 },
        { path: bridgeTrialPath, content: nmDisabled(bridgeText), mode: 0o600 },
        { path: portTrialPath, content: nmDisabled(portText), mode: 0o600 },
      ],
      handOver: withoutDad(snapshot, uplink, [...signal('CONT'), cameUp(uuid, uplink)]),
      handBackFirst: [...signal('CONT'), ['nmcli', 'connection', 'reload']],
      handBack: [
        ['nmcli', 'connection', 'up', 'uuid', bridgeUuid],
        ['nmcli', 'connection', 'up', 'uuid', portUuid],
      ],
      permanent: [...own.map((path) => ({ path, content: null, mode: 0o600 })), file],
      confirmCommands: [['nmcli', 'connection', 'reload']],
      // while it looks, it takes from a port at once what the batches give it
      dhcp: { before: [load, ...signal('STOP')], after: [] },
      lease: null,
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

/**
 * NetworkManager takes the addresses from a port that has left its bridge, and in the next moment brings up what may come up on it:
 * to ask for that would be slower, and to ask for it again would take the addresses once more. Asked for only if it does not happen.
 */
function cameUp(uuid: string, uplink: string): readonly string[] {
  const is = `nmcli -g GENERAL.STATE connection show uuid "$0" | grep -qx activated`;
  const script = `for i in 1 2 3 4 5 6 7 8 9 10; do if ${is}; then exit 0; fi; sleep 0.3; done; exec nmcli connection up uuid "$0" ifname "$1"`;
  return ['sh', '-c', script, uuid, uplink];
}

/** Makes NetworkManager pause, or go on. */
function signal(name: 'STOP' | 'CONT'): readonly (readonly string[])[] {
  return [['systemctl', 'kill', '-s', name, 'NetworkManager.service']];
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
