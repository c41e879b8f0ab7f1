import type { HostFacts, ProviderNetworkFacts } from '../src/protocol/messages.js';
import { type ChangeRecord, PENDING } from './bridge/paths.js';
import type { Host } from './host/host.js';

/** How long what was heard of neighbours is good enough: they come and go, and each change is told to the controller. */
const NEIGHBOURS_MS = 300_000;
/** How long after a start a bridge may still be coming up. */
const START_MS = 60_000;
const MOST_NEIGHBOURS = 256;
/** Ports of clouds have MACs like this one, also ours: they are known from the database. */
const CLOUD_MAC = 'fa:16:3e:';

interface LinkJson {
  readonly ifname?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly { readonly local?: string; readonly scope?: string }[];
}

/** Looks at the bridges that a host's physical networks are mapped to, and at who is seen there. */
export class ProviderNetworks {
  readonly #host: Host;
  readonly #mapping: Readonly<Record<string, string>>;
  readonly #neighboursMs: number;
  readonly #startMs: number;
  readonly #startedAt = performance.now();
  readonly #neighbours = new Map<string, { readonly at: number; readonly seen: readonly string[] }>();
  readonly #missed = new Map<string, number>();

  constructor(
    host: Host,
    mapping: Readonly<Record<string, string>>,
    neighboursMs = NEIGHBOURS_MS,
    startMs = START_MS,
  ) {
    this.#host = host;
    this.#mapping = mapping;
    this.#neighboursMs = neighboursMs;
    this.#startMs = startMs;
  }

  /** What is there now, in the order of the configuration. Rejects with CommandError when `ip` fails. */
  async look(): Promise<ProviderNetworkFacts[]> {
    const found: ProviderNetworkFacts[] = [];
    for (const [name, bridge] of Object.entries(this.#mapping)) {
      found.push({ name, bridge, ...(await this.#bridge(bridge)) });
    }
    return found;
  }

  async #bridge(bridge: string): Promise<Omit<ProviderNetworkFacts, 'name' | 'bridge'>> {
    const nothing = { addresses: [], gateways: [], neighbours: [] };
    // a simulated host has whatever its configuration names
    if (this.#host.simulated) return { present: true, ...nothing };
    // it may be taken back any moment
    if (await this.#isPending(bridge)) return { present: false, unknown: true, ...nothing };
    const [link] = await this.#json<LinkJson>(['-d', 'address', 'show', 'dev', bridge], [0, 1]);
    if (link?.linkinfo?.info_kind !== 'bridge') return { ...this.#absent(bridge), ...nothing };
    this.#missed.set(bridge, 0);
    const gateways: string[] = [];
    for (const family of ['-4', '-6']) {
      const routes = await this.#json<{ gateway?: string }>([
        family,
        'route',
        'show',
        'default',
        'dev',
        bridge,
      ]);
      gateways.push(...routes.flatMap((route) => route.gateway ?? []));
    }
    const addresses = (link.addr_info ?? []).filter((a) => a.scope !== 'link').flatMap((a) => a.local ?? []);
    return {
      present: true,
      addresses: unique(addresses),
      gateways: unique(gateways),
      neighbours: await this.#neighboursOn(bridge),
    };
  }

  /**
   * A bridge that is being made again is not gone: its routers would move away. Twice missed is gone. Right after a start, when the
   * host's network may still be coming up, that a bridge was not seen yet says nothing at all.
   */
  #absent(bridge: string): Pick<ProviderNetworkFacts, 'present' | 'unknown'> {
    const missed = this.#missed.get(bridge);
    this.#neighbours.delete(bridge);
    if (missed === undefined) {
      const starting = performance.now() - this.#startedAt < this.#startMs;
      return { present: false, ...(starting ? { unknown: true } : {}) };
    }
    this.#missed.set(bridge, missed + 1);
    return { present: missed === 0 };
  }

  /** Whether a takeover or release of the bridge waits for its confirmation. */
  async #isPending(bridge: string): Promise<boolean> {
    const record = await this.#host.readFileIfExists(`${PENDING}/change.json`);
    if (record === null) return false;
    try {
      return (JSON.parse(record) as Partial<ChangeRecord>).bridge === bridge;
    } catch {
      // being written just now: the next look tells
      return true;
    }
  }

  async #neighboursOn(bridge: string): Promise<readonly string[]> {
    const known = this.#neighbours.get(bridge);
    if (known && performance.now() - known.at < this.#neighboursMs) return known.seen;
    const entries = await this.#json<{ dst?: string; lladdr?: string }>(['neigh', 'show', 'dev', bridge]);
    const others = entries.filter(({ dst, lladdr }) => dst && lladdr && !lladdr.startsWith(CLOUD_MAC));
    const seen = unique(others.map(({ dst }) => dst!)).slice(0, MOST_NEIGHBOURS);
    this.#neighbours.set(bridge, { at: performance.now(), seen });
    return seen;
  }

  async #json<T>(args: readonly string[], okCodes: readonly number[] = [0]): Promise<readonly T[]> {
    const { stdout } = await this.#host.read('ip', ['-j', ...args], { okCodes });
    // a device without entries answers with nothing, or with empty objects
    return stdout.trim() === '' ? [] : (JSON.parse(stdout) as T[]);
  }
}

/** Facts with what is known of the provider networks now: only those whose bridge is there are offered. */
export function withProviderNetworks(facts: HostFacts, found: readonly ProviderNetworkFacts[]): HostFacts {
  const physical_networks = found.filter((network) => network.present).map((network) => network.name);
  return { ...facts, physical_networks, provider_networks: found };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}
