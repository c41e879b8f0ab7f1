import type { App } from '../../../core/app.js';
import type { Context } from '../../../core/context.js';
import { showVersion } from '../../shared/microversion.js';
import type { OpRequest } from '../../shared/operation.js';

interface KeptList {
  /** Number of this process's commits before the list was read: nothing has been written since as long as it is the same. */
  readonly commits: number;
  readonly hosts: readonly { readonly id: string; readonly up: boolean }[];
  readonly body: Buffer;
}

const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Whole replies of lists, for as long as nothing at all was written: polling clients ask for the same list again and again. Only
 * where this process sees every write, that is on SQLite; with PostgreSQL other controllers write too.
 */
export class ListCache {
  readonly #app: App;
  readonly #kept = new Map<string, KeptList>();
  #bytes = 0;

  constructor(app: App) {
    this.#app = app;
  }

  /** The reply to the same request by an equal caller, or `make` makes it and names the hosts it is about. */
  async reply(
    request: OpRequest,
    make: () => Promise<{ body: string; hostIds: Iterable<string> }>,
  ): Promise<Buffer> {
    const { store, hosts } = this.#app;
    const key = keyOf(request);
    const kept = this.#kept.get(key);
    const { commits } = store;
    if (kept?.commits === commits && kept.hosts.every(({ id, up }) => hosts.isUp(id) === up))
      return kept.body;
    const made = await make();
    const body = Buffer.from(made.body);
    if (store.dialect === 'sqlite') {
      const about = [...new Set(made.hostIds)].map((id) => ({ id, up: hosts.isUp(id) }));
      this.#keep(key, { commits, hosts: about, body });
    }
    return body;
  }

  #keep(key: string, list: KeptList): void {
    this.#drop(key);
    this.#kept.set(key, list);
    this.#bytes += list.body.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#kept.get(key)?.body.length ?? 0;
    this.#kept.delete(key);
  }
}

/** Everything a reply depends on besides the database and the hosts. */
function keyOf({ app, ctx, raw, version, baseUrl }: OpRequest): string {
  const { revision } = app.policy;
  return [raw.url, baseUrl, showVersion(version), String(revision), ...callerOf(ctx)].join('\n');
}

/** What policies see of a caller. */
function callerOf({ token }: Context): string[] {
  const { user, project, domain, system, is_domain, roles } = token;
  const scope = [
    project?.id,
    project?.domain.id,
    domain?.id,
    system ? 'system' : '',
    is_domain ? 'domain' : '',
  ];
  return [user.id, user.domain.id, ...scope.map((part) => part ?? ''), ...roles.map(({ name }) => name)];
}
