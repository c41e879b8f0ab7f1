import type { Host } from '../../host/host.js';
import {
  BridgeRefusal,
  type ManagerPlan,
  type OriginalFile,
  type TakeoverPlan,
  type UplinkManager,
} from '../manager.js';
import { linkOf, type Snapshot } from '../model.js';
import { renderIni, section } from './ini.js';
import { definitionOf, netplanFile, netplanReleased } from './netplan-files.js';
import { dhcpIdentity, networkdLease, networkdLink } from './networkctl.js';
import { networkdAside, networkdKeeping, networkdSolicits } from './networkd-aside.js';
import { identitySections } from './networkd-files.js';
import { withoutDad } from './without-dad.js';

const CLOUD_INIT = '/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg';

/**
 * netplan with networkd behind it. A file in /run/netplan hides the one of the same name in /etc/netplan, so the trial is the changed
 * files in /run; what netplan cannot say goes into drop-ins of the units that it generates.
 */
export class NetplanManager implements UplinkManager {
  readonly name = 'netplan';
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  async plan({ bridge, uplink, snapshot }: TakeoverPlan): Promise<ManagerPlan> {
    const link = linkOf(snapshot, uplink);
    const status = await networkdLink(this.#host, uplink);
    if (!link || !status?.file)
      throw new BridgeRefusal(
        `networkd has nothing of netplan for ${uplink}`,
        'Run netplan apply, and see networkctl.',
      );
    const files = await netplanFiles(this.#host);
    const changed = takenOver(files, bridge, uplink, link.mac, link.mtu);
    if (changed.length === 0)
      throw new BridgeRefusal(`no file of netplan names ${uplink}`, 'See netplan get all.');
    refuseRuntime(changed);
    refuseShared(files, snapshot, uplink);
    const identity = await dhcpIdentity(this.#host, link.index, status);
    const dropIns = [
      {
        path: `systemd/network/10-netplan-${bridge}.network.d/50-maru.conf`,
        content: renderIni([
          section('Network', { ConfigureWithoutCarrier: 'yes', KeepConfiguration: 'static' }),
          ...(identity ? identitySections(identity) : []),
        ]),
      },
      {
        path: `systemd/network/10-netplan-${bridge}.netdev.d/50-maru.conf`,
        content: renderIni([section('Bridge', { MulticastSnooping: 'no' })]),
      },
    ];
    const cloudInit = await this.#cloudInit();
    return {
      trialFiles: [
        ...changed.map(({ name, content }) => ({ path: `/run/netplan/${name}`, content, mode: 0o600 })),
        ...dropIns.map(({ path, content }) => ({ path: `/run/${path}`, content, mode: 0o644 })),
      ],
      handOver: withoutDad(snapshot, bridge, APPLY),
      handBackFirst: APPLY,
      handBack: [],
      permanent: [
        ...changed.map(({ name, content }) => ({ path: `/etc/netplan/${name}`, content, mode: 0o600 })),
        ...dropIns.map(({ path, content }) => ({ path: `/etc/${path}`, content, mode: 0o644 })),
        ...cloudInit,
      ],
      // the same text from another place: what is generated for the next reload
      confirmCommands: [['netplan', 'generate']],
      dhcp: null,
      lease: await networkdLease(this.#host, snapshot),
      warnings: [
        ...changed
          .filter((f) => f.path.startsWith('/lib'))
          .map(
            (f) =>
              `${f.path} is not of the administrator: /etc/netplan/${f.name} will hide it or be hidden by it`,
          ),
        ...(cloudInit.length > 0
          ? [`cloud-init no longer writes the network configuration (${CLOUD_INIT})`]
          : []),
      ],
    };
  }

  async planRelease({ bridge, uplink, snapshot, originals }: TakeoverPlan): Promise<ManagerPlan> {
    const mac = linkOf(snapshot, uplink)?.mac ?? linkOf(snapshot, bridge)?.mac ?? '';
    const mtu = linkOf(snapshot, bridge)?.mtu ?? 1500;
    const now = await netplanFiles(this.#host);
    const before = originals.filter((o) => o.path.startsWith('/etc/netplan/') && o.content !== null);
    const expected = takenOver(
      before.map((o) => ({ path: o.path, name: baseName(o.path), content: o.content!, mode: o.mode })),
      bridge,
      uplink,
      mac,
      mtu,
    );
    const warnings: string[] = [];
    const changed = now.flatMap((file) => {
      const original = before.find((o) => o.path === file.path);
      if (original && expected.find((e) => e.path === file.path)?.content === file.content)
        return [{ ...file, content: original.content!, mode: original.mode }];
      const content = netplanReleased(bridge, uplink, mac, file.path, file.content);
      if (content === null) return [];
      warnings.push(
        `${file.path} was changed since the takeover: it is kept, with what ${bridge} had given to ${uplink}`,
      );
      return [{ ...file, content }];
    });
    if (changed.length === 0)
      throw new BridgeRefusal(`no file of netplan has the bridge ${bridge}`, 'See netplan get all.');
    refuseRuntime(changed);
    const dropIns = ['network', 'netdev'].map(
      (kind) => `/etc/systemd/network/10-netplan-${bridge}.${kind}.d/50-maru.conf`,
    );
    const cloudInit = originals.filter((o) => o.path === CLOUD_INIT);
    const aside = networkdAside(bridge, uplink, snapshot);
    const generated = (await networkdLink(this.#host, uplink))?.file;
    // netplan has no key for it, so it never says so itself
    const keeping = generated && networkdKeeping({ name: baseName(generated), text: '' });
    return {
      trialFiles: [
        ...changed.map(({ name, content }) => ({ path: `/run/netplan/${name}`, content, mode: 0o600 })),
        ...aside.files,
        ...(keeping ? [keeping] : []),
      ],
      handOver: [
        ...aside.end,
        ...withoutDad(snapshot, uplink, [...APPLY, ...networkdSolicits(snapshot, uplink, bridge)]),
      ],
      handBackFirst: APPLY,
      handBack: [],
      permanent: [
        ...changed.map(({ path, content, mode }) => ({ path, content, mode })),
        ...dropIns.map((path) => ({ path, content: null, mode: 0o644 })),
        ...cloudInit,
      ],
      confirmCommands: [['netplan', 'generate']],
      dhcp: { before: aside.begin, after: [] },
      lease: await networkdLease(this.#host, snapshot),
      warnings,
    };
  }

  /** cloud-init writes its file anew at every boot of another instance, unless told not to. */
  async #cloudInit(): Promise<readonly OriginalFile[]> {
    if ((await this.#host.stat('/etc/cloud/cloud.cfg.d')) === null) return [];
    if ((await this.#host.readFileIfExists(CLOUD_INIT)) !== null) return [];
    return [{ path: CLOUD_INIT, content: 'network: {config: disabled}\n', mode: 0o644 }];
  }
}

export interface NetplanFile {
  readonly path: string;
  readonly name: string;
  readonly content: string;
  readonly mode: number;
}

/** The files in force, in netplan's order: by name, /run before /etc before /lib. */
export async function netplanFiles(host: Host): Promise<readonly NetplanFile[]> {
  const paths = new Map<string, string>();
  for (const directory of ['/lib/netplan', '/etc/netplan', '/run/netplan']) {
    for (const name of await host.listDirectory(directory)) {
      if (name.endsWith('.yaml')) paths.set(name, `${directory}/${name}`);
    }
  }
  const sorted = [...paths].sort(([a], [b]) => (a < b ? -1 : 1));
  return Promise.all(
    sorted.map(async ([name, path]) => ({
      path,
      name,
      content: await host.readFile(path),
      mode: (await host.stat(path))?.mode ?? 0o600,
    })),
  );
}

function takenOver(
  files: readonly NetplanFile[],
  bridge: string,
  uplink: string,
  mac: string,
  mtu: number,
): readonly NetplanFile[] {
  const changed: NetplanFile[] = [];
  for (const file of files) {
    const first = changed.length === 0;
    const content = netplanFile({ bridge, uplink, mac, mtu, path: file.path, text: file.content, first });
    if (content !== null) changed.push({ ...file, content });
  }
  return changed;
}

/** The trial's files are in /run/netplan, too: they would take the place of such a file, and be gone with it afterwards. Pure. */
export function refuseRuntime(changed: readonly Pick<NetplanFile, 'path' | 'name'>[]): void {
  const runtime = changed.find(({ path }) => path.startsWith('/run/'));
  if (!runtime) return;
  throw new BridgeRefusal(
    `${runtime.path} is in force; it was made at boot (by the initramfs, from ip= of the kernel's command line, or by another program) and would be lost`,
    `Move what it says to /etc/netplan/${runtime.name}, keep it from being made at boot, netplan apply, and try again.`,
  );
}

/** A definition that matches several devices would lose its addresses for all of them. */
function refuseShared(files: readonly NetplanFile[], snapshot: Snapshot, uplink: string): void {
  const own = linkOf(snapshot, uplink)!;
  for (const { path, content } of files) {
    const mine = definitionOf(content, path, uplink, own.mac);
    const other =
      mine &&
      snapshot.links.find((link) => {
        if (link.name === uplink || link.kind !== null) return false;
        const theirs = definitionOf(content, path, link.name, link.mac);
        return theirs?.type === mine.type && theirs.id === mine.id;
      });
    if (mine && other) {
      throw new BridgeRefusal(
        `${path}: ${mine.type}.${mine.id} is about ${other.name} as well as ${uplink}`,
        `Give ${uplink} a definition of its own there, netplan apply, and try again.`,
      );
    }
  }
}

const APPLY = [
  ['netplan', 'generate'],
  ['networkctl', 'reload'],
];

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
