import type { App } from '../../../core/app.js';
import { findServers, type ServerRow } from '../../../store/compute/server.js';
import { atLeast } from '../../shared/microversion.js';
import { loadServers } from './load.js';
import { showServer, VIEW_VERSIONS, type Viewer } from './view.js';

/** What a list knows of a server before it is rendered. */
export type ListedServer = Pick<ServerRow, 'id' | 'revision' | 'host_id'>;

interface Rendered {
  readonly revision: number;
  readonly up: boolean;
  readonly json: string;
}

/** Rendered servers are about 2 KB each: some 40 MB at most. */
const MAX_FRAGMENTS = 20_000;

/**
 * Servers rendered as JSON, kept until their revision changes; one text per server, view version and kind of viewer. Lists
 * are then one narrow query and the joining of texts.
 */
export class ServerFragments {
  readonly #app: App;
  readonly #kept = new Map<string, Rendered>();

  constructor(app: App) {
    this.#app = app;
  }

  /** The JSON of these servers, in their order. Those that vanished meanwhile are left out. */
  async render(viewer: Viewer, servers: readonly ListedServer[]): Promise<string[]> {
    const suffix = kindOf(viewer);
    const missing: string[] = [];
    const texts = servers.map(({ id, revision, host_id }) => {
      const kept = this.#kept.get(id + suffix);
      if (kept?.revision === revision && kept.up === this.#isUp(host_id)) return kept.json;
      missing.push(id);
      return null;
    });
    if (missing.length === 0) return texts as string[];
    const made = await this.#make(viewer, suffix, missing);
    return servers.flatMap(({ id }, i) => texts[i] ?? made.get(id) ?? []);
  }

  async #make(viewer: Viewer, suffix: string, ids: readonly string[]): Promise<Map<string, string>> {
    const made = new Map<string, string>();
    const rows = await findServers(this.#app.store.read, ids);
    for (const server of await loadServers(this.#app, rows)) {
      const { id, revision, host_id } = server.row;
      const json = JSON.stringify(showServer(viewer, server));
      made.set(id, json);
      // oldest first out: a Map keeps the order of insertion
      this.#kept.delete(id + suffix);
      this.#kept.set(id + suffix, { revision, up: this.#isUp(host_id), json });
    }
    for (const key of this.#kept.keys()) {
      if (this.#kept.size <= MAX_FRAGMENTS) break;
      this.#kept.delete(key);
    }
    return made;
  }

  #isUp(hostId: string | null): boolean {
    return hostId !== null && this.#app.hosts.isUp(hostId);
  }
}

/** Viewers with the same kind see the same text. */
function kindOf({ version, attributes, hostStatus }: Viewer): string {
  const at = VIEW_VERSIONS.findLastIndex((since) => atLeast(version, since));
  return `/${at}${attributes ? 'a' : ''}${hostStatus ? 'h' : ''}`;
}

const fragmentsOf = new WeakMap<App, ServerFragments>();

/** The one cache of an app. */
export function serverFragments(app: App): ServerFragments {
  let fragments = fragmentsOf.get(app);
  if (!fragments) {
    fragments = new ServerFragments(app);
    fragmentsOf.set(app, fragments);
  }
  return fragments;
}
