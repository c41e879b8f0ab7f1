import {
  confirmRemoval,
  type DeliveryFault,
  readContacts,
  readFaults,
  saveContacts,
  saveFaults,
  takeConfirmations,
} from '../store/host-contacts.js';
import type { Store } from '../store/store.js';
import type { Delivery } from './delivery.js';
import type { Liveness } from './liveness.js';

/** A contact that others know of is told again only after this long, unless the host says something new. */
const TELL_MS = 5_000;
/** Contacts are read again from this long before the last look: transactions end later than their clock says. */
const OVERLAP_MS = 10_000;

interface Heard {
  at: number;
  incarnation: string | null;
  digest: string | null;
  /** When, and with what digest, it was last told to the others. */
  told: number;
  toldDigest: string | null;
}

/**
 * What controllers have to tell each other about hosts goes through the database, every few seconds: who was heard of and what it
 * says it holds, whose spec cannot be delivered, and what operators agreed to.
 */
export class SharedView {
  readonly #store: Store;
  readonly #delivery: Delivery;
  readonly #liveness: Liveness;
  readonly #heard = new Map<string, Heard>();
  readonly #toldFaults = new Map<string, string | null>();
  #faults: ReadonlyMap<string, DeliveryFault | null> = new Map();
  #readUpTo: number | null = null;

  constructor(store: Store, delivery: Delivery, liveness: Liveness) {
    this.#store = store;
    this.#delivery = delivery;
    this.#liveness = liveness;
  }

  /** A host was heard of here; what it holds goes to whoever delivers to it. */
  heard(hostId: string, holds?: { readonly incarnation: string | null; readonly digest: string }): void {
    const known = this.#heard.get(hostId);
    this.#heard.set(hostId, {
      at: performance.now(),
      incarnation: holds?.incarnation ?? known?.incarnation ?? null,
      digest: holds?.digest ?? known?.digest ?? null,
      told: known?.told ?? Number.NEGATIVE_INFINITY,
      toldDigest: known?.toldDigest ?? null,
    });
  }

  forget(hostId: string): void {
    this.#heard.delete(hostId);
    this.#toldFaults.delete(hostId);
  }

  /** Why a host of another controller does not get its spec; null when it does. */
  fault(hostId: string): string | null {
    const fault = this.#faults.get(hostId);
    return fault === null ? 'no controller delivers to it at present' : (fault?.fault ?? null);
  }

  /** For how many milliseconds attempts of another controller have failed; null: the last one did not. */
  failing(hostId: string): number | null {
    return this.#faults.get(hostId)?.failing ?? null;
  }

  async confirmRemoval(hostId: string): Promise<void> {
    await this.#store.tx((tx) => confirmRemoval(tx, hostId));
  }

  /** Tells the others, and learns what they say. */
  async exchange(controllerId: string): Promise<void> {
    await this.#tellContacts(controllerId);
    await this.#tellFaults(controllerId);
    const confirmed = await this.#store.tx((tx) => takeConfirmations(tx, controllerId));
    for (const hostId of confirmed) this.#delivery.of(hostId)?.confirmRemoval();

    const { now, contacts } = await readContacts(
      this.#store.read,
      controllerId,
      this.#readUpTo === null ? null : this.#readUpTo - OVERLAP_MS,
    );
    this.#readUpTo = now;
    this.#liveness.learnt();
    for (const { hostId, age, incarnation, digest } of contacts) {
      this.#liveness.contact(hostId, age);
      if (digest !== null) this.#delivery.of(hostId)?.heartbeat(incarnation, digest, age);
    }
    this.#faults = await readFaults(this.#store.read, controllerId);
  }

  async #tellContacts(controllerId: string): Promise<void> {
    const now = performance.now();
    const news = [...this.#heard].filter(
      ([, heard]) =>
        heard.at > heard.told && (now - heard.told > TELL_MS || heard.digest !== heard.toldDigest),
    );
    if (news.length === 0) return;
    const contacts = news
      .map(([hostId, { at, incarnation, digest }]) => ({ hostId, age: now - at, incarnation, digest }))
      // everybody writes them in the same order, so that nobody waits in a circle
      .sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
    await this.#store.tx((tx) => saveContacts(tx, controllerId, contacts));
    for (const [, heard] of news) {
      heard.told = now;
      heard.toldDigest = heard.digest;
    }
  }

  async #tellFaults(controllerId: string): Promise<void> {
    const news = new Map<string, DeliveryFault>();
    for (const [hostId, queue] of this.#delivery.queues) {
      const { fault, failingSince } = queue;
      if (this.#toldFaults.get(hostId) === fault) continue;
      news.set(hostId, { fault, failing: failingSince === null ? null : performance.now() - failingSince });
    }
    for (const hostId of this.#toldFaults.keys()) {
      if (!this.#delivery.queues.has(hostId)) this.#toldFaults.delete(hostId);
    }
    if (news.size === 0) return;
    await this.#store.tx((tx) => saveFaults(tx, controllerId, news));
    for (const [hostId, { fault }] of news) this.#toldFaults.set(hostId, fault);
  }
}
