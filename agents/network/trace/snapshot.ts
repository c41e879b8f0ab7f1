import { ipVersion } from '../../../src/net/ip.js';
import { namespaceName } from '../../../src/net/names.js';
import type { NamespaceRef } from '../../../src/protocol/trace.js';
import type { NetworkContext } from '../config.js';
import { parseTracked, type TrackedList } from '../firewall/conntrack/tracked.js';
import { observeSet } from '../firewall/ipset/sets.js';
import type { IpFamily, ObservedChains } from '../firewall/iptables/model.js';
import { observeTables } from '../firewall/iptables/observe.js';
import { type ObservedTable, observeTable } from '../firewall/nft/observe.js';
import type { NftTable } from '../firewall/nft/tables.js';
import { HOST_SYSCTLS, readSysctls } from '../firewall/sysctls.js';
import type { LinksObserved } from '../links/model.js';
import { parseFdb, parseLinks } from '../links/observe.js';
import type { ObservedDevice } from '../namespace/model.js';
import { listNamespaces, parseAddresses } from '../namespace/observe.js';

/** The host's own devices as they are now. */
export interface Devices extends LinksObserved {
  /** Devices whose other end is there and up. */
  readonly carriers: ReadonlySet<string>;
}

const TRACKED_COUNT = 'net.netfilter.nf_conntrack_count';
export const TRACKED_MOST = 'net.netfilter.nf_conntrack_max';

/** Where a connection has an address: source or destination of its first packet, or destination of the answers. */
export type TrackedPlace = '-s' | '-d' | '-q';

/** Arguments of conntrack that list what has an address in a place. */
export function listingArguments(place: TrackedPlace, address: string): string[] {
  return ['-L', '-f', ipVersion(address) === 6 ? 'ipv6' : 'ipv4', place, address, '-o', 'extended'];
}

/** Of one listing; more are only counted. */
const MOST_CONNECTIONS = 2_000;
/** A listing of what may be listed at all takes well below a second. */
const CONNECTIONS_MS = 3_000;

/** A neighbour of a device. */
export interface Neighbour {
  readonly dst: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

/** What one question has read of the host: each thing once, and only what is asked for. It changes nothing. */
export class Snapshot {
  readonly context: NetworkContext;
  readonly #reads = new Map<string, Promise<unknown>>();

  constructor(context: NetworkContext) {
    this.context = context;
  }

  devices(): Promise<Devices> {
    return this.#once('devices', async () => {
      const { host } = this.context;
      const [links, fdb] = await Promise.all([
        host.read('ip', ['-j', '-d', 'link', 'show']),
        host.read('bridge', ['-j', 'fdb', 'show']),
      ]);
      const raw = JSON.parse(links.stdout || '[]') as { ifname: string; flags?: readonly string[] }[];
      const carriers = raw.filter(({ flags }) => flags?.includes('LOWER_UP')).map(({ ifname }) => ifname);
      return { links: parseLinks(links.stdout), fdb: parseFdb(fdb.stdout), carriers: new Set(carriers) };
    });
  }

  namespaces(): Promise<ReadonlySet<string>> {
    return this.#once('namespaces', async () => new Set(await listNamespaces(this.context)));
  }

  /** Devices and addresses inside a namespace; null: it is not there. */
  inside(netns: NamespaceRef): Promise<ReadonlyMap<string, ObservedDevice> | null> {
    const name = namespaceName(netns);
    return this.#once(`inside ${name}`, async () => {
      if (!(await this.namespaces()).has(name)) return null;
      const { stdout } = await this.context.host.read('ip', ['-n', name, '-j', 'addr', 'show']);
      return parseAddresses(stdout);
    });
  }

  /** `ip -j route show default` of a namespace. */
  defaultRoutes(
    netns: NamespaceRef,
    family: IpFamily,
  ): Promise<readonly { readonly gateway?: string; readonly dev?: string }[]> {
    const name = namespaceName(netns);
    return this.#once(`routes ${name} ${family}`, async () => {
      const args = ['-n', name, `-${family}`, '-j', 'route', 'show', 'proto', 'static'];
      const { stdout } = await this.context.host.read('ip', args);
      const all = JSON.parse(stdout || '[]') as { dst: string; gateway?: string; dev?: string }[];
      return all.filter(({ dst }) => dst === 'default');
    });
  }

  /** Read anew each time: a probe changes them. */
  async neighbours(netns: NamespaceRef, device: string): Promise<readonly Neighbour[]> {
    const args = ['-n', namespaceName(netns), '-j', 'neigh', 'show'];
    const { stdout } = await this.context.host.read('ip', args);
    const all = JSON.parse(stdout || '[]') as (Neighbour & { readonly dev?: string })[];
    return all.filter(({ dev }) => dev === device);
  }

  /** Chains of one table (`4 filter`, `4 nat` …), of the host's own namespace or of another. */
  async chains(family: IpFamily, table: 'filter' | 'nat', netns?: NamespaceRef): Promise<ObservedChains> {
    const name = netns && namespaceName(netns);
    const tables = await this.#once(`tables ${family} ${name ?? ''}`, () =>
      observeTables(this.context, [family], name),
    );
    return tables.get(`${family} ${table}`) ?? new Map();
  }

  /** What a built-in chain of the filter table does with what no rule decides; null: the table is not there. */
  async policy(family: IpFamily, chain: string, netns: NamespaceRef): Promise<string | null> {
    const command = family === 4 ? 'iptables-save' : 'ip6tables-save';
    const { stdout } = await this.context.host.read(command, [], { netns: namespaceName(netns) });
    const filter = /^\*filter\n([^*]*)/m.exec(stdout)?.[1] ?? '';
    return new RegExp(`^:${chain} (\\S+)`, 'm').exec(filter)?.[1] ?? null;
  }

  /** Members of one of our sets; null: it is not there. */
  members(set: string): Promise<ReadonlySet<string> | null> {
    return this.#once(`set ${set}`, () => observeSet(this.context, set));
  }

  nft(table: NftTable): Promise<ObservedTable> {
    return this.#once(`nft ${table.family} ${table.name}`, () => observeTable(this.context, table));
  }

  sysctls(): Promise<ReadonlyMap<string, string>> {
    return this.#once('sysctls', () => readSysctls(this.context, Object.keys(HOST_SYSCTLS)));
  }

  /** A setting inside a namespace. */
  async sysctl(netns: NamespaceRef, name: string): Promise<string | undefined> {
    return (await readSysctls(this.context, [name], namespaceName(netns))).get(name);
  }

  /** Connections that have the address in this place, in a namespace or the host's own: the first of them, and how many there are. */
  connections(place: TrackedPlace, address: string, netns?: string): Promise<TrackedList> {
    return this.#once(`connections ${netns ?? ''} ${place} ${address}`, async () => {
      const args = listingArguments(place, address);
      const options = { timeoutMs: CONNECTIONS_MS, ...(netns === undefined ? {} : { netns }) };
      const { stdout } = await this.context.host.read('conntrack', args, options);
      return parseTracked(stdout, MOST_CONNECTIONS);
    });
  }

  /** How many connections a namespace tracks, and how many the kernel allows; 0: it does not say, or there is no limit. */
  async tracked(netns?: string): Promise<{ readonly count: number; readonly most: number }> {
    const values = await readSysctls(this.context, [TRACKED_COUNT, TRACKED_MOST], netns);
    return { count: Number(values.get(TRACKED_COUNT) ?? 0), most: Number(values.get(TRACKED_MOST) ?? 0) };
  }

  #once<T>(name: string, read: () => Promise<T>): Promise<T> {
    const known = this.#reads.get(name) as Promise<T> | undefined;
    if (known) return known;
    const reading = read();
    this.#reads.set(name, reading);
    return reading;
  }
}
