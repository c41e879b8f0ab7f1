import type { Logger } from '../protocol/log.js';
import type { Heartbeat, HeartbeatReply, HostFacts } from '../protocol/messages.js';
import { type HostRow, setPhysicalNetworks, updateHost } from '../store/hosts.js';
import { noteOrphans } from '../store/orphans.js';
import { nowText, recordChange, type Store, type Tx } from '../store/store.js';
import { type Confirmation, isConfirmed } from './confirmation.js';
import type { Delivery } from './delivery.js';
import { DriftReports } from './drift.js';
import type { Liveness } from './liveness.js';
import { settleProviderNetworks } from './provider-facts.js';
import type { Reports } from './reports.js';
import { SeenHosts } from './seen.js';
import type { SharedView } from './shared-view.js';

/** Called in the transaction that stores new facts of a host. */
export type FactsListener = (tx: Tx, hostId: string, facts: HostFacts) => Promise<void>;

const PERSIST_MS = 60_000;

/**
 * Takes heartbeats. An idle one writes nothing: liveness and usage stay in memory and are stored once a minute, many hosts at a time.
 */
export class Heartbeats {
  readonly factsListeners: FactsListener[] = [];
  readonly #store: Store;
  readonly #delivery: Delivery;
  readonly #reports: Reports;
  readonly #liveness: Liveness;
  readonly #shared: SharedView;
  readonly #drift: DriftReports;
  readonly #seen: SeenHosts;
  readonly #confirmation: Confirmation;
  /** Hosts that this process has heard everything from, and when their row was last written. */
  readonly #known = new Map<string, { persistedAt: number; orphans: string }>();

  constructor(
    confirmation: Confirmation,
    delivery: Delivery,
    reports: Reports,
    liveness: Liveness,
    shared: SharedView,
    log: Logger,
  ) {
    const { store } = confirmation;
    this.#confirmation = confirmation;
    this.#drift = new DriftReports(store);
    this.#store = store;
    this.#seen = new SeenHosts(store, (error) => log.warn('what hosts use could not be stored', { error }));
    this.#delivery = delivery;
    this.#reports = reports;
    this.#liveness = liveness;
    this.#shared = shared;
  }

  async take(host: HostRow, beat: Heartbeat): Promise<HeartbeatReply> {
    this.#liveness.contact(host.id);
    const unknown = !this.#known.has(host.id) && beat.facts === undefined;
    await this.#persist(host, beat);
    const taken = await this.#reports.take(host.id, beat.reports, beat.order);
    // one that introduces the host and was overtaken has told nothing of its objects
    const resync = unknown || (!taken && beat.facts !== undefined);
    if (beat.drift) await this.#drift.take(host.id, beat.drift);
    this.#shared.heard(host.id, beat);
    this.#delivery.of(host.id)?.heartbeat(beat.incarnation, beat.digest);
    const confirmed = beat.awaiting_confirmation && (await isConfirmed(this.#confirmation, host, beat));
    return { resync, ...(confirmed ? { confirmed } : {}) };
  }

  forget(hostId: string): void {
    this.#known.delete(hostId);
    this.#drift.forget(hostId);
    this.#seen.forget(hostId);
  }

  async close(): Promise<void> {
    await this.#reports.close();
    await this.#seen.close();
  }

  async #persist(host: HostRow, beat: Heartbeat): Promise<void> {
    const known = this.#known.get(host.id);
    const orphans = JSON.stringify(beat.orphans);
    const told = beat.facts && settleProviderNetworks(beat.facts, host.facts);
    const facts = told && JSON.stringify(told);
    const moved = beat.agent_url !== host.agent_url || beat.boot_id !== host.boot_id;
    const newFacts = facts !== undefined && facts !== host.facts;
    const now = performance.now();
    const due = !known || now - known.persistedAt > PERSIST_MS;
    const newOrphans = (known?.orphans ?? host.orphans) !== orphans;
    if (moved || newFacts || newOrphans) {
      await this.#store.tx(async (tx) => {
        await updateHost(tx, host.id, {
          agent_url: beat.agent_url,
          boot_id: beat.boot_id,
          usage: JSON.stringify(beat.usage),
          orphans,
          last_seen_at: nowText(),
          ...(newFacts ? { facts } : {}),
        });
        if (newOrphans) await noteOrphans(tx, host.id, beat.orphans);
        if (newFacts && told) await this.#storeFacts(tx, host, told);
      });
    } else if (due) {
      this.#seen.note(host.id, beat.usage);
    } else {
      return;
    }
    if (known || told) this.#known.set(host.id, { persistedAt: now, orphans });
  }

  async #storeFacts(tx: Tx, host: HostRow, facts: HostFacts): Promise<void> {
    await updateHost(tx, host.id, { underlay_ip: facts.underlay_ip, simulated: facts.simulated ? 1 : 0 });
    await setPhysicalNetworks(tx, host.id, facts.physical_networks);
    for (const listener of this.factsListeners) await listener(tx, host.id, facts);
    // other hosts' tunnels may lead here
    await recordChange(tx, 'host', host.id);
  }
}
