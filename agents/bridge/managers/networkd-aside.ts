import type { ManagerFile } from '../manager.js';
import type { Snapshot } from '../model.js';
import { renderIni, section } from './ini.js';

const RUN = '/run/systemd/network';
const RELOAD = ['networkctl', 'reload'];

/** What keeps networkd from touching a bridge and its port while a release moves the addresses. */
export interface Aside {
  /** Found before everything else; of a trial. */
  readonly files: readonly ManagerFile[];
  /** Makes networkd read them: before the addresses move. */
  readonly begin: readonly (readonly string[])[];
  /** Removes them; the next reload puts into force what they have hidden. */
  readonly end: readonly (readonly string[])[];
}

/**
 * networkd 252 forgets a device that leaves a bridge, finds it anew, and configures it with what it has read: into the bridge again.
 * So it is told beforehand to leave both as they are. Not with leases or advertised addresses, whose clients would end with that, and
 * take the addresses along.
 */
export function networkdAside(bridge: string, uplink: string, snapshot: Snapshot): Aside {
  const lasting = snapshot.addresses.every(({ validSeconds }) => validSeconds === null);
  if (!lasting) return { files: [], begin: [], end: [] };
  const linkLocal = snapshot.addresses.some(({ address }) => address.startsWith('fe80:'));
  const kept = { KeepConfiguration: 'static', IPv6AcceptRA: 'no' };
  const contents: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    // else it would take the kernel's own address away
    [bridge]: { ...kept, LinkLocalAddressing: linkLocal ? 'ipv6' : 'no', ConfigureWithoutCarrier: 'yes' },
    [uplink]: { ...kept, LinkLocalAddressing: 'no', KeepMaster: 'yes' },
  };
  const files = Object.entries(contents).map(([device, network]) => ({
    path: `${RUN}/03-maru-${device}.network`,
    content: renderIni([section('Match', { Name: device }), section('Network', network)]),
    mode: 0o644,
  }));
  return { files, begin: [RELOAD], end: [['rm', '-f', ...files.map(({ path }) => path)]] };
}

/**
 * A drop-in with which networkd takes no fixed address away when it puts a .network into force: networkd 252 takes those of IPv4 for
 * strange ones, removes them and adds them again. `network`: the .network's name and text; null when it says itself what to keep.
 */
export function networkdKeeping(network: {
  readonly name: string;
  readonly text: string;
}): ManagerFile | null {
  if (/^\s*KeepConfiguration\s*=/m.test(network.text)) return null;
  const content = renderIni([section('Network', { KeepConfiguration: 'static' })]);
  return { path: `${RUN}/${network.name}.d/50-maru-keep.conf`, content, mode: 0o644 };
}
