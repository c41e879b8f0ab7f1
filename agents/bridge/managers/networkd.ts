import { createHash } from 'node:crypto';
import type { Host } from '../../host/host.js';
import { BridgeRefusal, type ManagerPlan, type TakeoverPlan, type UplinkManager } from '../manager.js';
import { linkOf } from '../model.js';
import { parseIni, renderIni, type Section, section } from './ini.js';
import { dhcpIdentity, networkdLease, networkdLink } from './networkctl.js';
import { networkdAside, networkdKeeping, networkdSolicits } from './networkd-aside.js';
import { networkdFiles, networkdReleased } from './networkd-files.js';
import { withoutDad } from './without-dad.js';

const ETC = '/etc/systemd/network';
const RUN = '/run/systemd/network';

/**
 * systemd-networkd with files of the administrator's own. Nothing of theirs is changed: ours have earlier names, so they are found
 * first; they are in /run until confirmed.
 */
export class NetworkdManager implements UplinkManager {
  readonly name = 'networkd';
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  async plan({ bridge, uplink, snapshot }: TakeoverPlan): Promise<ManagerPlan> {
    const status = await networkdLink(this.#host, uplink);
    const link = linkOf(snapshot, uplink);
    if (!status?.file || !link)
      throw new BridgeRefusal(`networkd has no .network for ${uplink}`, `See networkctl status ${uplink}.`);
    refuseEarlier(status.file, `05-maru-${uplink}.network`);
    const original = await readNetwork(this.#host, status.file);
    const { netdev, bridgeNetwork, portNetwork, warnings } = networkdFiles({
      bridge,
      uplink,
      mac: link.mac,
      mtu: link.mtu,
      source: status.file,
      sections: original.sections,
      identity: await dhcpIdentity(this.#host, link.index, status),
    });
    const files = [
      { name: `05-maru-${bridge}.netdev`, content: netdev },
      { name: `05-maru-${bridge}.network`, content: `# original: ${original.digest}\n${bridgeNetwork}` },
      { name: `05-maru-${uplink}.network`, content: portNetwork },
    ];
    return {
      trialFiles: files.map(({ name, content }) => ({ path: `${RUN}/${name}`, content, mode: 0o644 })),
      handOver: [
        ...withoutDad(snapshot, bridge, RELOAD),
        inForce(bridge, `05-maru-${bridge}.network`),
        inForce(uplink, `05-maru-${uplink}.network`),
      ],
      handBackFirst: RELOAD,
      handBack: [],
      permanent: files.map(({ name, content }) => ({ path: `${ETC}/${name}`, content, mode: 0o644 })),
      confirmCommands: [],
      dhcp: null,
      lease: await networkdLease(this.#host, snapshot),
      warnings,
    };
  }

  async planRelease({ bridge, uplink, snapshot }: TakeoverPlan): Promise<ManagerPlan> {
    const own = [`05-maru-${bridge}.netdev`, `05-maru-${bridge}.network`, `05-maru-${uplink}.network`];
    const text = await this.#host.readFileIfExists(`${ETC}/${own[1]}`);
    const port = await this.#host.readFileIfExists(`${ETC}/${own[2]}`);
    if (text === null || port === null) {
      throw new BridgeRefusal(
        `${ETC}/${own[1]} and ${ETC}/${own[2]} are not both there: ${bridge} was not made by maru bridge, or they were removed`,
        `Write the .network of ${uplink} by hand, remove those of ${bridge}, and apply them with networkctl reload.`,
      );
    }
    const { content, path, name, warnings } = await this.#released(bridge, uplink, text, port);
    const trial = `04-maru-${uplink}.network`;
    const aside = networkdAside(bridge, uplink, snapshot);
    const trialKeeping = networkdKeeping({ name: trial, text: content });
    const keeping = networkdKeeping({ name, text: content });
    return {
      trialFiles: [
        ...aside.files,
        { path: `${RUN}/${trial}`, content, mode: 0o644 },
        ...[trialKeeping ?? []].flat(),
        {
          path: `${RUN}/04-maru-${bridge}.network`,
          content: renderIni([section('Match', { Name: bridge }), section('Link', { Unmanaged: 'yes' })]),
          mode: 0o644,
        },
      ],
      handOver: [
        ...aside.end,
        ...withoutDad(snapshot, uplink, [...RELOAD, ...networkdSolicits(snapshot, uplink, bridge)]),
      ],
      handBackFirst: RELOAD,
      handBack: [],
      permanent: [
        ...[keeping ?? []].flat(),
        ...own.map((name) => ({ path: `${ETC}/${name}`, content: null, mode: 0o644 })),
        ...(path ? [{ path, content, mode: 0o644 }] : []),
      ],
      // networkd would go on with a file that is no longer there, until somebody's next reload
      confirmCommands: [
        ...withoutDad(snapshot, uplink, RELOAD),
        // its work is done: later reloads are to do what they say
        ...(keeping ? [['rm', '-f', keeping.path]] : []),
      ],
      dhcp: { before: aside.begin, after: [] },
      lease: await networkdLease(this.#host, snapshot),
      warnings,
    };
  }

  /** The uplink's file as it was, when that is still there; else (`path` says where it goes) made from the bridge's. */
  async #released(bridge: string, uplink: string, text: string, port: string) {
    const [, source] = /made by maru bridge from (\S+);/.exec(text) ?? [];
    const digest = /^# original: (\S+)$/m.exec(text)?.[1];
    const original = source ? await readNetwork(this.#host, source).catch(() => null) : null;
    if (!original || !source) {
      const path = `${ETC}/10-maru-${uplink}.network`;
      return {
        path,
        name: path.slice(path.lastIndexOf('/') + 1),
        content: networkdReleased(uplink, bridge, parsed(port, uplink), parsed(text, bridge)),
        warnings: [
          `${source ?? 'the original .network'} is no longer there: ${path} is made from what ${bridge} has`,
        ],
      };
    }
    return {
      path: null,
      name: source.slice(source.lastIndexOf('/') + 1),
      content: renderIni([
        section('Match', { Name: uplink }),
        ...original.sections.filter((s) => s.name !== 'Match'),
      ]),
      warnings:
        original.digest === digest
          ? []
          : [`${source} was changed since the takeover; as it is now it will be used`],
    };
  }
}

/** networkd takes the first file that matches, by name and wherever it is: an earlier one would win against ours. Pure. */
export function refuseEarlier(file: string, ours: string): void {
  const name = file.slice(file.lastIndexOf('/') + 1);
  if (name > ours) return;
  throw new BridgeRefusal(
    `${file} comes before ${ours} in networkd's order, so the file of a takeover would never be used`,
    `Rename it to 10-${name.replace(/^\d+-/, '')}, networkctl reload, and try again.`,
  );
}

/** Fails unless networkd has that file in force on the device, within 5 s: another one that matches would win at every boot. */
export function inForce(device: string, name: string): readonly string[] {
  const script = [
    'for i in 1 2 3 4 5 6 7 8 9 10; do',
    'networkctl status --no-pager --lines=0 "$1" 2>&1 | grep "Network File:.*/$2\\$" > /dev/null && exit 0; sleep 0.5; done',
    'networkctl status --no-pager --lines=0 "$1" | grep "Network File:" >&2',
    'echo "networkd does not use $2 on $1: rename the file that it uses so that it comes later, to 10-... or more" >&2; exit 1',
  ];
  return ['sh', '-c', script.join('; ').replace('do; ', 'do '), 'sh', device, name];
}

/** A reload reconfigures by itself the links whose files are others now; doing it again would only drop and add once more. */
const RELOAD = [['networkctl', 'reload']];

/** A .network with its drop-ins as networkd reads them: those of a name in /etc hide those in /run and /usr/lib. */
async function readNetwork(host: Host, path: string) {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dropIns = new Map<string, string>();
  for (const root of ['/usr/lib/systemd/network', '/lib/systemd/network', RUN, ETC]) {
    for (const file of await host.listDirectory(`${root}/${name}.d`)) {
      if (file.endsWith('.conf')) dropIns.set(file, `${root}/${name}.d/${file}`);
    }
  }
  const paths = [path, ...[...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, full]) => full)];
  const texts = await Promise.all(paths.map((p) => host.readFile(p)));
  return {
    sections: texts.flatMap((text, at) => parsed(text, paths[at]!)),
    digest: createHash('sha256').update(texts.join('\0')).digest('hex'),
  };
}

function parsed(text: string, path: string): readonly Section[] {
  const sections = parseIni(text, true);
  if (!sections)
    throw new BridgeRefusal(
      `${path} has a line that is neither a section nor a setting`,
      'Mend it and try again.',
    );
  return sections;
}
