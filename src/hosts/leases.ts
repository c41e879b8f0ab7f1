import { randomUUID } from 'node:crypto';
import type { Logger } from '../protocol/log.js';
import {
  claimHosts,
  deliveryShares,
  deregisterController,
  expireControllers,
  type HostLease,
  hostsOfController,
  registerController,
  releaseHosts,
  renewController,
  setIsolated,
} from '../store/controllers.js';
import type { Store } from '../store/store.js';
import type { Delivery } from './delivery.js';
import type { Isolation } from './isolation.js';
import type { SharedView } from './shared-view.js';

/** The right to deliver to a host, for as long as it lasts. */
export interface Lease extends HostLease {
  /** False once it may have run out, by this process's monotonic clock. */
  valid(): boolean;
  /** The database says that another has the host. */
  lost(): void;
}

export interface LeaseOptions {
  readonly store: Store;
  readonly log: Logger;
  readonly delivery: Delivery;
  readonly shared: SharedView;
  readonly isolation: Isolation;
  readonly name: string;
  readonly address: string;
}

const LEASE_MS = 10_000;
const TICK_MS = 2_000;
/** A lease counts as run out here before it does in the database. */
const MARGIN_MS = 1_500;
const RETRY_MS = 500;
/** Hosts given up to others in one step. */
const MOST_GIVEN = 200;

/**
 * Shares the hosts between the controllers on one PostgreSQL: each takes as many as fall to it, keeps them by renewing one lease
 * on the database's clock, and gives up what is too many when another starts. Who ends says so; the hosts of one that does not are
 * taken over when its lease has run out. The epoch of each host fences off who had it before: sequence numbers of
 * pushes are reserved under it, and an agent refuses those that are older than the new owner's.
 */
export class LeaseKeeper {
  readonly #options: LeaseOptions;
  readonly #log: Logger;
  #id = randomUUID();
  #registered = false;
  /** Of this process's monotonic clock. */
  #validUntil = Number.NEGATIVE_INFINITY;
  readonly #leases = new Map<string, Lease>();
  /** Hosts on their way to others. */
  readonly #giving = new Map<string, Promise<void>>();
  /** Hosts to which something is still under way under a lease that ended: not to be owned again before. */
  readonly #ending = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #failing = false;
  #isolated = false;
  #watching = false;
  #closed = false;
  readonly #onHosts = () => this.poke();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  /** The id under which this controller is registered now; another after it lost its lease. */
  get controllerId(): string {
    return this.#id;
  }

  /** Registers and takes the first share of hosts. Rejects when the database cannot be reached. */
  async start(): Promise<void> {
    this.#options.store.events.on('hosts', this.#onHosts);
    const first = this.#tick();
    // whoever pokes meanwhile waits for it: a second one would register a second time
    this.#running = first.catch(() => {});
    try {
      await first;
    } finally {
      this.#running = null;
    }
    this.#schedule(this.#again ? 0 : TICK_MS);
    this.#again = false;
  }

  /** Looks at once: there are hosts to take, or something to learn. */
  poke(): void {
    this.#schedule(0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.store.events.off('hosts', this.#onHosts);
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
    await Promise.all([...this.#giving.values(), ...this.#ending.values()]);
    await Promise.all([...this.#leases.keys()].map((hostId) => this.#options.delivery.disown(hostId)));
    try {
      await this.#options.store.tx((tx) => deregisterController(tx, this.#id));
      await this.#options.store.notify('hosts');
    } catch (error) {
      this.#log.warn('this controller’s hosts could not be given up; others take them when its lease ends', {
        error,
      });
    }
  }

  #schedule(ms: number): void {
    if (this.#closed) return;
    if (this.#running) {
      if (ms === 0) this.#again = true;
      return;
    }
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      let next = TICK_MS;
      this.#running = this.#tick()
        .then(() => {
          if (this.#failing) this.#log.info('the database can be reached again');
          this.#failing = false;
        })
        .catch((error) => {
          if (!this.#failing) this.#log.error('leases on hosts cannot be renewed', { error });
          this.#failing = true;
          next = RETRY_MS;
        })
        .finally(() => {
          this.#running = null;
          this.#schedule(this.#again ? 0 : next);
          this.#again = false;
        });
    }, ms);
  }

  async #tick(): Promise<void> {
    const { store, shared } = this.#options;
    const begun = performance.now();
    if (this.#registered && !(await store.tx((tx) => renewController(tx, this.#id, LEASE_MS)))) {
      this.#loseAll();
    }
    if (!this.#registered) {
      const { name, address } = this.#options;
      this.#id = randomUUID();
      await store.tx((tx) => registerController(tx, { id: this.#id, name, address }, LEASE_MS));
      this.#registered = true;
    }
    this.#validUntil = begun + LEASE_MS - MARGIN_MS;
    const { mine, quota } = await store.tx((tx) => this.#claim(tx));
    this.#follow(mine);
    this.#give(mine.map((row) => row.host_id).slice(quota));
    await shared.exchange(this.#id);
    this.#watch();
  }

  /** One that reaches no host leaves them to the others; it must not hold its own lease up by looking. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#options.isolation
      .look()
      .then((isolated) => {
        if (isolated === this.#isolated) return;
        this.#isolated = isolated;
        if (isolated)
          this.#log.error('no host can be reached from here: others deliver to them until one can');
        else this.#log.info('hosts can be reached again');
        this.poke();
      })
      .catch((error) => this.#log.warn('hosts could not be probed', { error }))
      .finally(() => {
        this.#watching = false;
      });
  }

  async #claim(tx: Parameters<typeof claimHosts>[0]) {
    await expireControllers(tx);
    await setIsolated(tx, this.#id, this.#isolated);
    const { hosts, controllers } = await deliveryShares(tx);
    // with nobody left who reaches them, everybody may as well try
    const quota = this.#isolated && controllers > 0 ? 0 : Math.ceil(hosts / Math.max(1, controllers));
    const before = await hostsOfController(tx, this.#id);
    await claimHosts(tx, this.#id, quota - before.length);
    return { mine: await hostsOfController(tx, this.#id), quota };
  }

  /** Delivers to the hosts that the database says are ours, and to no others. */
  #follow(mine: readonly { readonly host_id: string; readonly epoch: number }[]): void {
    const { delivery } = this.#options;
    const ours = new Map(mine.map(({ host_id, epoch }) => [host_id, epoch]));
    for (const [hostId, lease] of this.#leases) {
      if (ours.get(hostId) === lease.epoch && lease.controllerId === this.#id) continue;
      this.#end(hostId);
    }
    for (const [hostId, epoch] of ours) {
      if (this.#leases.has(hostId) || this.#giving.has(hostId) || this.#ending.has(hostId)) continue;
      const lease = this.#lease(hostId, epoch);
      this.#leases.set(hostId, lease);
      delivery.own(hostId, lease);
    }
  }

  /** Stops delivering to a host. It may take as long as an answer of the host, which the lease on the others must not wait for. */
  #end(hostId: string): void {
    this.#leases.delete(hostId);
    const before = this.#ending.get(hostId);
    const ended = Promise.all([before, this.#options.delivery.disown(hostId)])
      .catch((error) => this.#log.warn('delivery to a host could not be ended', { error, host_id: hostId }))
      .then(() => {
        if (this.#ending.get(hostId) !== ended) return;
        this.#ending.delete(hostId);
        // it may be ours again
        this.poke();
      });
    this.#ending.set(hostId, ended);
  }

  #lease(hostId: string, epoch: number): Lease {
    let lost = false;
    const controllerId = this.#id;
    return {
      controllerId,
      epoch,
      valid: () => !lost && this.#id === controllerId && performance.now() < this.#validUntil,
      lost: () => {
        lost = true;
        this.#end(hostId);
        this.poke();
      },
    };
  }

  /** Hosts go to others when nothing is under way to them any more. */
  #give(surplus: readonly string[]): void {
    const { store, delivery } = this.#options;
    const fresh = surplus.filter((hostId) => !this.#giving.has(hostId)).slice(0, MOST_GIVEN);
    if (fresh.length === 0) return;
    const controllerId = this.#id;
    const given = Promise.all(
      fresh.map(async (hostId) => {
        this.#leases.delete(hostId);
        await delivery.disown(hostId);
      }),
    )
      .then(() => store.tx((tx) => releaseHosts(tx, controllerId, fresh)))
      .then(() => store.notify('hosts'))
      .catch((error) => this.#log.warn('hosts could not be given to other controllers', { error }))
      .finally(() => {
        for (const hostId of fresh) this.#giving.delete(hostId);
      });
    for (const hostId of fresh) this.#giving.set(hostId, given);
  }

  #loseAll(): void {
    this.#log.warn('the lease on this controller’s hosts ran out; others may have them now', {
      hosts: this.#leases.size,
    });
    this.#registered = false;
    this.#validUntil = Number.NEGATIVE_INFINITY;
    for (const hostId of [...this.#leases.keys()]) this.#end(hostId);
  }
}
