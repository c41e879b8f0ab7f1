import type { AnyHostKind, HostChange } from '../desired/kind.js';
import { parseKey } from '../protocol/keys.js';
import type { ObjectKey, ObjectKind } from '../protocol/objects.js';
import { type ChangeRow, deleteChanges, readChanges } from '../store/changes.js';
import { findHosts, type HostRow } from '../store/hosts.js';
import type { Reader } from '../store/store.js';
import { type DirtyHost, dirtyHosts, type ReasonedChange } from './dirty.js';
import { type DatabaseState, HostQueue, type QueueDependencies } from './host-queue.js';
import type { Incarnations } from './incarnations.js';
import type { Lease } from './leases.js';
import { MentionIndex } from './mentions.js';
import { type ComputedSpec, computeSpec, computeSpecs, mentionedIds } from './spec.js';

export interface DeliveryOptions extends Omit<QueueDependencies, 'onWanting'> {
  readonly incarnations: Pick<Incarnations, 'current' | 'asOf' | 'refused'>;
  readonly kinds: readonly AnyHostKind[];
  /** A host's row changed that this controller does not deliver to. */
  readonly onForeignHost: (hostId: string) => void;
}

/** How long changes gather before hosts are looked at; the design allows 20 ms. */
const COALESCE_MS = 5;
const RETRY_MS = 1_000;
const DELETE_DELAY_MS = 500;
/** A look without a signal, for changes of which no signal came. */
const SQLITE_SWEEP_MS = 10_000;
const POSTGRES_SWEEP_MS = 1_500;
/** Work done in one snapshot: enough to share queries, little enough that others' requests need not wait. */
const WORK_AT_ONCE = 120;
/** What a host counts for of which everything is worked out, against one of which some kinds are. */
const WHOLE_HOST = 4;
/** How often every host's whole spec is worked out, whether anything was recorded or not. */
const FULL_LOOK_MS = 30 * 60_000;

interface Work {
  readonly queue: HostQueue;
  readonly dirty: DirtyHost;
  readonly host: HostRow;
  readonly computed: ComputedSpec;
}

/**
 * Changed rows → hosts and kinds of objects → pushes, for the hosts that this controller has. Each round reads, in one snapshot, the
 * new changes, marks hosts by them, and works out the marked kinds of some hosts: so what is sent to a host always agrees
 * with itself, though only a part of it was computed. A crash loses nothing, because hosts that a controller takes over are
 * worked out as a whole.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #queues = new Map<string, HostQueue>();
  readonly #mentions = new MentionIndex();
  readonly #wanting = new Set<HostQueue>();
  readonly #onChange = () => this.#schedule();
  #position: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #again: number | null = null;
  #deleting: NodeJS.Timeout | null = null;
  #deletedUpTo: string | null = null;
  #sweep: NodeJS.Timeout | null = null;
  #fullLooks: Generator<void> | null = null;
  #closed = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Follows the changes from now on. */
  start(): void {
    const { store } = this.#options;
    store.events.on('change', this.#onChange);
    const period = store.dialect === 'sqlite' ? SQLITE_SWEEP_MS : POSTGRES_SWEEP_MS;
    this.#sweep = setInterval(() => {
      this.#fullLooks ??= this.#lookFully(period);
      if (this.#fullLooks.next().done) this.#fullLooks = null;
      this.#schedule();
    }, period);
    this.#sweep.unref();
    this.#schedule();
  }

  /** Delivers to a host from now on; it begins with everything. */
  own(hostId: string, lease: Lease | null): void {
    if (this.#closed) return;
    const onWanting = (queue: HostQueue) => {
      this.#wanting.add(queue);
      // a round under way looks once more when it is done
      if (!this.#running) this.#schedule();
    };
    const queue = new HostQueue(hostId, lease, { ...this.#options, onWanting });
    this.#queues.set(hostId, queue);
    queue.mark();
  }

  /** Stops delivering to a host; resolves when nothing is under way to it. */
  async disown(hostId: string): Promise<void> {
    const queue = this.#queues.get(hostId);
    if (!queue) return;
    this.#queues.delete(hostId);
    this.#wanting.delete(queue);
    this.#mentions.forget(hostId);
    await queue.close();
  }

  /** What hosts are told besides their objects may have changed. */
  settingsChanged(): void {
    for (const queue of this.#queues.values()) queue.mark(new Set());
  }

  /** The queue of a host that this controller delivers to. */
  of(hostId: string): HostQueue | undefined {
    return this.#queues.get(hostId);
  }

  /** Hosts that this controller delivers to. */
  get queues(): ReadonlyMap<string, HostQueue> {
    return this.#queues;
  }

  /** True when the host's spec, as it is now, mentions the id. */
  async mentions(hostId: string, id: string): Promise<boolean> {
    if (this.#mentions.mentions(hostId, id)) return true;
    const { store, kinds } = this.#options;
    return mentionedIds((await computeSpec(store, kinds, hostId)).spec).has(id);
  }

  /** Those of the keys that the host was last told of, or should be told of now. */
  async named(hostId: string, keys: readonly ObjectKey[]): Promise<ReadonlySet<ObjectKey>> {
    const queue = this.#queues.get(hostId);
    if (queue && keys.every((key) => queue.names(key))) return new Set(keys);
    const { store, kinds } = this.#options;
    const { spec, failed } = await computeSpec(store, kinds, hostId);
    return new Set(keys.filter((key) => key in spec || queue?.names(key) || failed.has(parseKey(key).kind)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.store.events.off('change', this.#onChange);
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#sweep) clearInterval(this.#sweep);
    await this.#running;
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    if (this.#deleting) {
      clearTimeout(this.#deleting);
      await this.#deleteProcessed();
    }
  }

  #schedule(ms = COALESCE_MS): void {
    if (this.#closed || this.#timer) return;
    if (this.#running) {
      this.#again = Math.min(ms, this.#again ?? ms);
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#running = this.#round()
        .catch((error) => {
          this.#options.log.error('changes could not be worked out', { error });
          // a database that is away is not asked hundreds of times a second
          this.#again = RETRY_MS;
        })
        .finally(() => {
          this.#running = null;
          const again = this.#again;
          this.#again = null;
          if (again !== null || this.#wanting.size > 0) this.#schedule(again ?? 0);
        });
    }, ms);
  }

  async #round(): Promise<void> {
    const { incarnations } = this.#options;
    const taken = new Map<HostQueue, DirtyHost>();
    // before the hosts' rows: a new incarnation must not go out with the settings from before it
    const state = { incarnation: await incarnations.current(), asOf: await incarnations.asOf() };
    try {
      const work = await this.#options.store.snapshot(async (db) => {
        await this.#readChanges(db);
        return await this.#workOut(db, state, taken);
      });
      await this.#reserveNumbers(work);
      for (const { queue, dirty, host, computed } of work) {
        taken.delete(queue);
        if (this.#queues.get(queue.hostId) !== queue) continue;
        for (const [kind, ids] of computed.mentioned) this.#mentions.set(queue.hostId, kind, ids);
        queue.deliver(host, state, computed, dirty);
      }
      await this.#disownGone(taken);
    } catch (error) {
      for (const [queue, dirty] of taken) queue.failed(error as Error, dirty);
      throw error;
    }
  }

  /**
   * Gives up hosts that the snapshot had no row of. One that came after the snapshot began, and whose lease was taken while
   * it was read, stays: nobody would own it a second time.
   */
  async #disownGone(taken: Map<HostQueue, DirtyHost>): Promise<void> {
    if (taken.size === 0) return;
    const ids = [...taken.keys()].map((queue) => queue.hostId);
    const present = new Set((await findHosts(this.#options.store.read, ids)).map(({ id }) => id));
    const gone: HostQueue[] = [];
    for (const [queue, dirty] of taken) {
      if (present.has(queue.hostId)) queue.putBack(dirty);
      // it may have been disowned meanwhile, and owned again
      else if (this.#queues.get(queue.hostId) === queue) gone.push(queue);
    }
    await Promise.all(gone.map((queue) => this.disown(queue.hostId)));
  }

  /** After a start every host needs numbers: one transaction for many, since each commit waits for the disk. */
  async #reserveNumbers(work: readonly Work[]): Promise<void> {
    const queues = work.map(({ queue }) => queue).filter((queue) => queue.outOfNumbers);
    if (queues.length < 2) return;
    queues.sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
    const blocks = await this.#options.store.tx(async (tx) => {
      const from = [];
      for (const queue of queues) from.push(await queue.reserve(tx));
      return from;
    });
    queues.forEach((queue, index) => {
      queue.reserved(blocks[index]!);
    });
  }

  async #readChanges(db: Reader): Promise<void> {
    const { store } = this.#options;
    const { rows, position, gap, more } = await readChanges(db, store, this.#position);
    for (const [hostId, { kinds, requestIds }] of await this.#dirty(db, rows)) {
      const queue = this.#queues.get(hostId);
      if (queue) queue.mark(kinds, requestIds);
    }
    if (gap) for (const queue of this.#queues.values()) queue.mark();
    for (const { kind, id } of rows) {
      if (kind === 'host' && !this.#queues.has(id)) this.#options.onForeignHost(id);
    }
    this.#position = position;
    if (more) this.#again = 0;
    if (store.dialect === 'sqlite' && rows.length > 0) {
      this.#deleting ??= setTimeout(() => {
        this.#deleting = null;
        this.#deleteProcessed().catch((error) =>
          this.#options.log.error('handled changes could not be deleted', { error }),
        );
      }, DELETE_DELAY_MS);
    }
  }

  async #dirty(db: Reader, rows: readonly ChangeRow[]): Promise<Map<string, DirtyHost>> {
    const distinct = new Map<string, ReasonedChange & { requestIds: Set<string> }>();
    for (const { kind, id, request_id } of rows) {
      const key = `${kind}/${id}`;
      const entry = distinct.get(key) ?? { kind, id, requestIds: new Set<string>() };
      if (request_id) entry.requestIds.add(request_id);
      distinct.set(key, entry);
    }
    const onError = (kind: ObjectKind, change: HostChange, error: unknown) => {
      this.#options.log.error('hosts of a change cannot be worked out, looking at all', {
        error,
        kind,
        change,
      });
      return this.#queues.keys();
    };
    const mentioning = (id: string) => this.#mentions.hostsOf(id);
    return await dirtyHosts(db, this.#options.kinds, [...distinct.values()], mentioning, onError);
  }

  async #workOut(db: Reader, state: DatabaseState, taken: Map<HostQueue, DirtyHost>): Promise<Work[]> {
    let work = 0;
    for (const queue of this.#wanting) {
      this.#wanting.delete(queue);
      if (!queue.wanting) continue;
      const dirty = queue.take(state.incarnation);
      taken.set(queue, dirty);
      work += dirty.kinds === 'all' ? WHOLE_HOST : 1;
      if (work >= WORK_AT_ONCE) break;
    }
    if (taken.size === 0) return [];
    const hosts = await findHosts(
      db,
      [...taken.keys()].map((queue) => queue.hostId),
    );
    const rows = new Map(hosts.map((host) => [host.id, host]));
    const wanted = new Map([...taken].map(([queue, { kinds }]) => [queue.hostId, kinds] as const));
    const specs = await computeSpecs(db, this.#options.kinds, wanted);
    return [...taken].flatMap(([queue, dirty]) => {
      const host = rows.get(queue.hostId);
      return host ? [{ queue, dirty, host, computed: specs.get(queue.hostId)! }] : [];
    });
  }

  /** Marks every host once, some at each step, so that all are looked at in FULL_LOOK_MS. */
  *#lookFully(stepMs: number): Generator<void> {
    const hostIds = [...this.#queues.keys()];
    const atOnce = Math.ceil((hostIds.length * stepMs) / FULL_LOOK_MS);
    const steps = Math.ceil(FULL_LOOK_MS / stepMs);
    for (let step = 0; step < steps; step++) {
      yield;
      for (const id of hostIds.splice(0, atOnce)) this.#queues.get(id)?.mark();
    }
  }

  /** On SQLite nobody else needs them. */
  async #deleteProcessed(): Promise<void> {
    const position = this.#position;
    if (position === null || position === this.#deletedUpTo) return;
    await this.#options.store.tx((tx) => deleteChanges(tx, position));
    this.#deletedUpTo = position;
  }
}
