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
 * Makes networkd take router advertisements on a device that has left a bridge. networkd 252 knows such a device anew and waits for its
 * link-local address, which is there already: so that is changed and changed back until what is advertised has come, for 8 s at most.
 * Nothing when none of the snapshot's IPv6 addresses goes away by itself.
 */
export function networkdSolicits(
  snapshot: Snapshot,
  device: string,
  bridge: string,
): readonly (readonly string[])[] {
  const six = snapshot.addresses.filter(({ family }) => family === 6);
  const own = six.find(({ address }) => address.startsWith('fe80:'));
  if (!own || !six.some(({ validSeconds }) => validSeconds !== null)) return [];
  const script = [
    '# networkd may have brought it up once more before it was told',
    'ip link set dev "$3" addrgenmode none; ip link set dev "$3" down',
    'turn=0; while [ $turn -lt 16 ]; do sleep 0.5; turn=$((turn + 1))',
    '# what is there at first is what networkd is about to take away',
    '[ $turn -lt 4 ] || [ -z "$(ip -6 -o addr show dev "$1" scope global dynamic -tentative)" ] || break',
    'ip -6 addr change "$2" dev "$1" scope link nodad; ip -6 addr change "$2" dev "$1" scope link',
    'done; exit 0',
  ];
  return [['sh', '-c', script.join('\n'), 'sh', device, `${own.address}/${own.prefix}`, bridge]];
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
