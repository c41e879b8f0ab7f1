import type { AnyHostKind, HostChange } from '../desired/kind.js';
import type { Logger } from '../protocol/log.js';
import type { HostSettings } from '../protocol/messages.js';
import { type ChangeRow, deleteChanges, listChanges } from '../store/changes.js';
import { listHosts } from '../store/hosts.js';
import type { Reader, Store } from '../store/store.js';
import type { AgentClients } from './agent-clients.js';
import { HostQueue } from './host-queue.js';
import type { Incarnations } from './incarnations.js';
import { inSnapshot } from './spec.js';

export interface DeliveryOptions {
  readonly store: Store;
  readonly kinds: readonly AnyHostKind[];
  readonly clients: AgentClients;
  readonly log: Logger;
  readonly incarnations: Incarnations;
  readonly drift: HostSettings['drift'];
  readonly onContact: (hostId: string) => void;
}

/** How long changes gather before hosts are looked at; the design allows 20 ms. */
const COALESCE_MS = 5;
const RETRY_MS = 1_000;
const DELETE_DELAY_MS = 500;
/** A look without a signal, for changes that another process recorded. */
const SWEEP_MS = 10_000;
const BATCH = 1000;

/**
 * Changed rows → hosts → pushes. The rows are deleted after their hosts are marked; a crash in between loses nothing, because
 * a starting controller looks at every host.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #queues = new Map<string, HostQueue>();
  readonly #processed = new Set<number>();
  readonly #onChange = () => this.#schedule();
  #timer: NodeJS.Timeout | null = null;
  #draining: Promise<void> | null = null;
  #again = false;
  #deleting: NodeJS.Timeout | null = null;
  #sweep: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Looks at every host once, then follows the changes. */
  async start(): Promise<void> {
    this.#options.store.events.on('change', this.#onChange);
    this.#sweep = setInterval(this.#onChange, SWEEP_MS);
    this.#sweep.unref();
    for (const host of await listHosts(this.#options.store.read)) this.of(host.id).mark();
    this.#schedule();
  }

  /** The queue of a host. */
  of(hostId: string): HostQueue {
    let queue = this.#queues.get(hostId);
    if (!queue) {
      queue = new HostQueue(hostId, this.#options);
      this.#queues.set(hostId, queue);
    }
    return queue;
  }

  async forget(hostId: string): Promise<void> {
    const queue = this.#queues.get(hostId);
    this.#queues.delete(hostId);
    await queue?.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.store.events.off('change', this.#onChange);
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#sweep) clearInterval(this.#sweep);
    await this.#draining;
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    if (this.#deleting) {
      clearTimeout(this.#deleting);
      await this.#deleteProcessed();
    }
  }

  #schedule(ms = COALESCE_MS): void {
    if (this.#closed || this.#timer) return;
    if (this.#draining) {
      this.#again = true;
      return;
    }
    let next = COALESCE_MS;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#draining = this.#drain()
        .catch((error) => {
          this.#options.log.error('changes could not be read', { error });
          this.#again = true;
          // a database that is away is not asked hundreds of times a second
          next = RETRY_MS;
        })
        .finally(() => {
          this.#draining = null;
          if (this.#again) {
            this.#again = false;
            this.#schedule(next);
          }
        });
    }, ms);
  }

  async #drain(): Promise<void> {
    const rows = await listChanges(this.#options.store.read, BATCH + this.#processed.size);
    const fresh = rows.filter((row) => !this.#processed.has(row.seq));
    if (fresh.length === 0) return;
    if (rows.length >= BATCH) this.#again = true;
    for (const [hostId, requestIds] of await this.#hostsOf(fresh)) this.of(hostId).mark(requestIds);
    for (const row of fresh) this.#processed.add(row.seq);
    this.#deleting ??= setTimeout(() => {
      this.#deleting = null;
      this.#deleteProcessed().catch((error) =>
        this.#options.log.error('handled changes could not be deleted', { error }),
      );
    }, DELETE_DELAY_MS);
  }

  /** Hosts to look at, each with the requests that are the reason. */
  async #hostsOf(rows: readonly ChangeRow[]): Promise<Map<string, Set<string>>> {
    const reasons = new Map<string, Set<string>>();
    const distinct = new Map<string, { change: HostChange; requestIds: Set<string> }>();
    for (const { kind, id, request_id } of rows) {
      const key = `${kind}/${id}`;
      const entry = distinct.get(key) ?? { change: { kind, id }, requestIds: new Set<string>() };
      if (request_id) entry.requestIds.add(request_id);
      distinct.set(key, entry);
    }
    await inSnapshot(this.#options.store, async (db) => {
      for (const { change, requestIds } of distinct.values()) {
        for (const hostId of await this.#hostsOfChange(db, change)) {
          const known = reasons.get(hostId) ?? new Set<string>();
          for (const id of requestIds) known.add(id);
          reasons.set(hostId, known);
        }
      }
    });
    return reasons;
  }

  /** By the kinds, and by what was last sent: a row that is gone or moved is still named in the specs it has to leave. */
  async #hostsOfChange(db: Reader, change: HostChange): Promise<Set<string>> {
    const hosts = new Set<string>();
    if (change.kind === 'host') hosts.add(change.id);
    for (const queue of this.#queues.values()) if (queue.mentions(change.id)) hosts.add(queue.hostId);
    for (const kind of this.#options.kinds) {
      try {
        for (const hostId of await kind.hostsOf(db, change)) hosts.add(hostId);
      } catch (error) {
        this.#options.log.error('hosts of a change cannot be worked out, looking at all', {
          error,
          kind: kind.kind,
          change,
        });
        for (const hostId of this.#queues.keys()) hosts.add(hostId);
      }
    }
    return hosts;
  }

  async #deleteProcessed(): Promise<void> {
    const seqs = [...this.#processed];
    await this.#options.store.tx((tx) => deleteChanges(tx, seqs));
    for (const seq of seqs) this.#processed.delete(seq);
  }
}
