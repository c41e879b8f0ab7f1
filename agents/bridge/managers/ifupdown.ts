import type { Host } from '../../host/host.js';
import {
  BridgeRefusal,
  type ManagerPlan,
  type OriginalFile,
  type TakeoverPlan,
  type UplinkManager,
} from '../manager.js';
import { linkOf, type Snapshot } from '../model.js';
import { dhcpClientsOn, handOverClients } from './dhcp-client.js';
import { leasedMetric } from './dhcpcd.js';
import { asWritten, ifupdownFile, ifupdownReleased, metricsOf } from './ifupdown-files.js';
import { moveLinkDns } from './link-dns.js';

export const INTERFACES = '/etc/network/interfaces';
/** Which interfaces ifup has brought up; without its entry, a later ifdown or ifup of the bridge would do the wrong thing. */
const IFSTATE = '/run/network/ifstate';

/**
 * ifupdown (interfaces(5)). It looks at its files at boot and when it is called only, so nothing of a trial is to be said to it: the files
 * are written on confirm. Its DHCP clients are processes of their own, which are handed over.
 */
export class IfupdownManager implements UplinkManager {
  readonly name = 'ifupdown';
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  async plan({ bridge, uplink, snapshot }: TakeoverPlan): Promise<ManagerPlan> {
    await this.#needsBridgeUtils();
    const mac = linkOf(snapshot, uplink)?.mac ?? '';
    const files = await interfacesFiles(this.#host, uplink);
    const changed = takenOver(files, bridge, uplink, mac, await this.#metricOfDhcpcd(uplink, snapshot));
    if (changed.files.length === 0)
      throw new BridgeRefusal(
        `no iface ${uplink} in ${INTERFACES} or what it sources`,
        'See ifquery --list -a.',
      );
    return this.#moved(uplink, bridge, snapshot, changed.files, changed.warnings);
  }

  async planRelease({ bridge, uplink, snapshot, originals }: TakeoverPlan): Promise<ManagerPlan> {
    const mac = linkOf(snapshot, bridge)?.mac ?? '';
    const now = await interfacesFiles(this.#host, bridge);
    // in the order in which the takeover had them
    const order = now.map(({ path }) => path);
    const before = originals
      .filter((o) => isInterfaces(o.path) && o.content !== null)
      .toSorted((one, other) => order.indexOf(one.path) - order.indexOf(other.path));
    // with the metrics that the files have: the DHCP client that they were said for may be down by now
    const metrics = [null, ...new Set(now.flatMap(({ content }) => metricsOf(bridge, content)))];
    const expected = metrics.flatMap((metric) => takenOver(before, bridge, uplink, mac, metric).files);
    const isOurs = ({ path, content }: InterfacesFile) =>
      expected.some((e) => e.path === path && asWritten(e.content ?? '').includes(content));
    const warnings: string[] = [];
    const files = now.flatMap((file): OriginalFile[] => {
      if (!file.content.includes(bridge)) return [];
      const original = before.find((o) => o.path === file.path);
      if (original && isOurs(file)) return [original];
      const content = ifupdownReleased(bridge, uplink, file.content, before.map((o) => o.content).join('\n'));
      if (content === file.content) return [];
      warnings.push(
        `${file.path} was changed since the takeover: it is kept, with ${bridge}'s stanzas given to ${uplink}`,
      );
      return [{ ...file, content }];
    });
    if (files.length === 0)
      throw new BridgeRefusal(
        `no iface ${bridge} in ${INTERFACES} or what it sources`,
        'See ifquery --list -a.',
      );
    return this.#moved(bridge, uplink, snapshot, files, warnings);
  }

  async #moved(
    from: string,
    to: string,
    snapshot: Snapshot,
    files: readonly OriginalFile[],
    warnings: readonly string[],
  ): Promise<ManagerPlan> {
    const found = await dhcpClientsOn(this.#host, from);
    const clients = await handOverClients(this.#host, found, from, to, snapshot);
    const dns = await moveLinkDns(this.#host, from, to);
    const resolvconf = await this.#host.listDirectory('/run/resolvconf/interface');
    return {
      trialFiles: clients?.trialFiles ?? [],
      handOver: dns.handOver,
      handBackFirst: clients?.handBackFirst ?? [],
      handBack: [...(clients?.handBack ?? []), ...dns.handBack],
      permanent: [...files, ...(clients?.permanent ?? [])],
      confirmCommands: (await this.#host.readFileIfExists(IFSTATE)) === null ? [] : [ifstateWith(from, to)],
      dhcp: clients?.dhcp ?? null,
      lease: null,
      warnings: [
        ...warnings,
        ...(clients?.warnings ?? []),
        ...(resolvconf.some((name) => name.startsWith(`${from}.`))
          ? [`resolvconf keeps the DNS servers of ${from} until the next boot, which has them of ${to}`]
          : []),
      ],
    };
  }

  /** dhcpcd makes it from the device's index unless it is told. */
  async #metricOfDhcpcd(device: string, snapshot: Snapshot): Promise<number | null> {
    const clients = await dhcpClientsOn(this.#host, device);
    return clients.some(({ program }) => program === 'dhcpcd') ? leasedMetric(snapshot) : null;
  }

  async #needsBridgeUtils(): Promise<void> {
    if ((await this.#host.stat('/etc/network/if-pre-up.d/bridge')) !== null) return;
    throw new BridgeRefusal(
      'ifupdown makes bridges with the package bridge-utils only, and it is not installed',
      'apt-get install bridge-utils, and try again.',
    );
  }
}

/** `sed`: the bridge is up as far as ifupdown is concerned, so that `ifdown br-ex` knows it. */
function ifstateWith(from: string, to: string): readonly string[] {
  // a takeover leaves the port in the list, as the next boot has it; a release leaves no bridge there
  const remove = [`/^${to}=/d`, ...(from.startsWith('br') ? [`/^${from}=/d`] : [])];
  return ['sed', '-i', ...remove.flatMap((expression) => ['-e', expression]), '-e', `1i${to}=${to}`, IFSTATE];
}

function takenOver(
  files: readonly OriginalFile[],
  bridge: string,
  uplink: string,
  mac: string,
  metric: number | null,
) {
  const changed: OriginalFile[] = [];
  const warnings: string[] = [];
  let first = true;
  for (const { path, content, mode } of files) {
    const result = ifupdownFile({ bridge, uplink, mac, metric, path, text: content ?? '', first });
    if (result.touched) first = false;
    warnings.push(...result.warnings);
    if (result.text !== `${(content ?? '').replace(/\n$/, '')}\n`)
      changed.push({ path, content: result.text, mode });
  }
  // `auto` alone, without any stanza, is not ours to change
  return first ? { files: [], warnings: [] } : { files: changed, warnings };
}

function isInterfaces(path: string): boolean {
  return path.startsWith('/etc/network/');
}

export interface InterfacesFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/**
 * /etc/network/interfaces and what it sources. Files with an `iface` of the device come first, in the order in which ifup meets the
 * first of them in each: it makes the bridge at the first stanza, which may be in a sourced file.
 */
export async function interfacesFiles(host: Host, device: string): Promise<readonly InterfacesFile[]> {
  const files: InterfacesFile[] = [];
  const met: string[] = [];
  const read = async (path: string): Promise<void> => {
    if (files.some((f) => f.path === path)) return;
    const content = await host.readFileIfExists(path);
    if (content === null) return;
    files.push({ path, content, mode: (await host.stat(path))?.mode ?? 0o644 });
    for (const line of content.split('\n')) {
      const [word, ...rest] = line.trim().split(/\s+/);
      if (word === 'iface' && rest[0] === device && !met.includes(path)) met.push(path);
      if (word !== 'source' && word !== 'source-directory') continue;
      for (const pattern of rest) {
        for (const found of await sourced(host, word, pattern, path)) await read(found);
      }
    }
  };
  await read(INTERFACES);
  const place = ({ path }: InterfacesFile) => (met.includes(path) ? met.indexOf(path) : met.length);
  return files.toSorted((one, other) => place(one) - place(other));
}

async function sourced(host: Host, word: string, pattern: string, from: string): Promise<readonly string[]> {
  const absolute = pattern.startsWith('/') ? pattern : `${from.slice(0, from.lastIndexOf('/'))}/${pattern}`;
  const cut = absolute.lastIndexOf('/');
  const [directory, name] =
    word === 'source'
      ? [absolute.slice(0, cut), absolute.slice(cut + 1)]
      : [absolute.replace(/\/$/, ''), null];
  if (name !== null && !/[*?[]/.test(name)) return [absolute];
  const expression =
    name === null
      ? /^[a-zA-Z0-9_-]+$/
      : new RegExp(`^${name.replaceAll('.', '\\.').replaceAll('*', '[^.].*').replaceAll('?', '.')}$`);
  return [...(await host.listDirectory(directory))]
    .filter((n) => expression.test(n) || (name === '*' && n.length === 1))
    .sort()
    .map((n) => `${directory}/${n}`);
}
