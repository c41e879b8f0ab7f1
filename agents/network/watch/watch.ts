import { Monitor } from '../../drift/monitor.js';
import { Poller } from '../../drift/poller.js';
import type { NetworkContext } from '../config.js';
import type { DesiredHost } from '../desired.js';
import { dnsmasqDirectory } from '../dhcp/process.js';
import { isOurNamespace } from '../namespace/model.js';
import type { ObservedHost } from '../observed.js';
import { concernsUs, contradicts, parseIpEvent } from './events.js';
import { SetsPoll } from './sets-poll.js';

/** After a change of our own, events are most likely its echo for this long. */
const ECHO_MS = 500;
/** What may have been more than an echo is looked at when no change of our own has followed for this long. */
const DOUBT_MS = 1_500;
const FOLLOW_MS = 200;
const POLL_MS = 1_500;
/** Routers whose own tables are listened to; each costs a process. Those of others are compared with every full synchronisation. */
const MONITORED_ROUTERS = 32;
const NETNS_DIRECTORY = '/run/netns';

interface Closable {
  close(): void;
}

/**
 * Notices that others change what is ours: devices, addresses and routes by `ip monitor`, rules by `nft monitor` (iptables writes
 * nftables), namespaces and dnsmasq's files by inotify, dnsmasq's processes and the members of sets by looking every other second.
 */
export class NetworkWatch {
  readonly #context: NetworkContext;
  readonly #observed: ObservedHost;
  readonly #sets: SetsPoll;
  readonly #namespaces = new Map<number, string>();
  /** Monitors and watched directories that come and go with namespaces and DHCP servers. */
  readonly #changing = new Map<string, Closable>();
  readonly #fixed: Closable[] = [];
  #suspect: (() => void) | null = null;
  #busy = 0;
  #quietUntil = 0;
  #doubtful = false;
  #doubt: NodeJS.Timeout | null = null;
  #pids: readonly number[] = [];
  #askingNames: Promise<void> | null = null;
  #following: NodeJS.Timeout | null = null;

  constructor(context: NetworkContext, observed: ObservedHost) {
    this.#context = context;
    this.#observed = observed;
    this.#sets = new SetsPoll(context.host);
  }

  start(suspect: () => void): void {
    const { host } = this.#context;
    this.#suspect = suspect;
    const ip = ['-o', 'monitor', 'all-nsid', 'link', 'address', 'route'];
    this.#fixed.push(
      this.#monitor('ip', ip, (line) => this.#onIp(line)),
      this.#monitor('nft', ['monitor'], (line) => this.#onNft(line)),
      host.watchDirectory(NETNS_DIRECTORY, (name) => this.#onNamespace(name)),
      new Poller(POLL_MS, () => this.#poll()),
      this.#sets,
    );
  }

  /** Our own changes begin. */
  begin(): void {
    this.#busy++;
    if (this.#doubt) clearTimeout(this.#doubt);
  }

  /** They have ended; `desired` is what the host should have now, or null when that is not known. */
  end(desired: DesiredHost | null): void {
    this.#busy--;
    this.#quietUntil = performance.now() + ECHO_MS;
    if (this.#doubtful) this.#resolveDoubt();
    if (!desired || !this.#suspect) return;
    if (this.#following) clearTimeout(this.#following);
    // not now: whoever waits for the change does not wait for this
    this.#following = setTimeout(() => void this.#follow(desired).catch(() => {}), FOLLOW_MS);
    this.#following.unref();
  }

  close(): void {
    this.#suspect = null;
    if (this.#following) clearTimeout(this.#following);
    if (this.#doubt) clearTimeout(this.#doubt);
    for (const one of [...this.#fixed, ...this.#changing.values()]) one.close();
    this.#fixed.length = 0;
    this.#changing.clear();
  }

  get #quiet(): boolean {
    return this.#busy > 0 || performance.now() < this.#quietUntil;
  }

  #tell(): void {
    if (!this.#quiet) {
      this.#suspect?.();
    } else if (this.#busy === 0) {
      this.#doubtful = true;
      this.#resolveDoubt();
    }
  }

  #resolveDoubt(): void {
    if (this.#doubt) clearTimeout(this.#doubt);
    this.#doubt = setTimeout(() => {
      this.#doubtful = false;
      this.#suspect?.();
    }, DOUBT_MS);
    this.#doubt.unref();
  }

  #monitor(command: string, args: readonly string[], onLine: (line: string) => void): Monitor {
    const { host, log } = this.#context;
    const monitor = new Monitor({
      host,
      log,
      command,
      args,
      onGap: () => this.#suspect?.(),
      onLine: (line) => {
        if (this.#quiet) monitor.forgive();
        // while we change things ourselves every line is ours; just after it, one may not be
        if (this.#busy === 0) onLine(line);
      },
    });
    return monitor;
  }

  #onIp(line: string): void {
    const event = parseIpEvent(line);
    if (!event) return;
    if (event.nsid !== null && !this.#namespaces.has(event.nsid)) {
      // events of a namespace that is just getting its number: one look finds its name
      this.#askingNames ??= this.#askNames().finally(() => {
        this.#askingNames = null;
        if (contradicts(event, this.#observed, (nsid) => this.#namespaces.get(nsid))) this.#tell();
      });
      return;
    }
    if (contradicts(event, this.#observed, (nsid) => this.#namespaces.get(nsid))) this.#tell();
  }

  async #askNames(): Promise<void> {
    try {
      const { stdout } = await this.#context.host.read('ip', ['-j', 'netns', 'list-id']);
      const all = JSON.parse(stdout || '[]') as { readonly nsid?: number; readonly name?: string }[];
      for (const { nsid, name } of all) if (nsid !== undefined) this.#namespaces.set(nsid, name ?? '');
    } catch (error) {
      this.#context.log.debug('numbers of namespaces cannot be read', { error });
    }
  }

  #onNft(line: string): void {
    if (!line.startsWith('#') && concernsUs(line)) this.#tell();
  }

  #onNamespace(name: string): void {
    if (isOurNamespace(name)) this.#tell();
  }

  /** Watches what the host has now, and nothing of what has gone: a process in a namespace keeps it alive. */
  async #follow(desired: DesiredHost): Promise<void> {
    const { host } = this.#context;
    const wanted = new Map<string, () => Closable>();
    const routers = [...desired.namespaces.values()].filter(({ families }) => families.length > 0);
    for (const { name } of routers.slice(0, MONITORED_ROUTERS)) {
      const inode = (await host.stat(`${NETNS_DIRECTORY}/${name}`))?.ino;
      if (inode === undefined) continue;
      wanted.set(`${name} ${inode}`, () =>
        this.#monitor('ip', ['netns', 'exec', name, 'nft', 'monitor'], (line) => this.#onNft(line)),
      );
    }
    const pids: number[] = [];
    for (const { name } of desired.services.values()) {
      const directory = dnsmasqDirectory(this.#context, name);
      const inode = (await host.stat(directory))?.ino;
      const pid = Number((await host.readFileIfExists(`${directory}/pid`))?.trim() || Number.NaN);
      if (Number.isInteger(pid) && pid > 0) pids.push(pid);
      wanted.set(`${directory} ${inode}`, () =>
        host.watchDirectory(directory, (file) => {
          if (/^(dnsmasq\.conf|hosts|options|addresses)$/.test(file)) this.#tell();
        }),
      );
    }
    if (!this.#suspect) return;
    this.#pids = pids;
    this.#namespaces.clear();
    for (const [key, one] of this.#changing) {
      if (wanted.has(key)) continue;
      one.close();
      this.#changing.delete(key);
    }
    for (const [key, open] of wanted) if (!this.#changing.has(key)) this.#changing.set(key, open());
  }

  async #poll(): Promise<number> {
    if (this.#quiet) return 0;
    const { sets } = this.#observed;
    if (this.#pids.some((pid) => !this.#context.host.kill(pid, 0))) this.#tell();
    else if (sets.size > 0 && (await this.#sets.contradicts(sets))) this.#tell();
    return this.#pids.length + sets.size;
  }
}
