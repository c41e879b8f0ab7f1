import { listHosts } from '../store/hosts.js';
import type { Store } from '../store/store.js';
import type { AgentClients } from './agent-clients.js';
import type { Delivery } from './delivery.js';
import type { Liveness } from './liveness.js';

/** A host that cannot be reached for so long, though it is heard, makes suspicious. */
const SUSPICIOUS_MS = 12_000;
const PROBE_EVERY_MS = 6_000;
const PROBE_TIMEOUT_MS = 3_000;
const PROBED_HOSTS = 5;

/**
 * Whether this controller is cut off from the hosts, though not from the database: then others had better deliver to them. It is when
 * it reaches none of several hosts that were heard of just now, by whichever controller; one that it reaches proves the contrary.
 */
export class Isolation {
  readonly #store: Store;
  readonly #clients: AgentClients;
  readonly #delivery: Delivery;
  readonly #liveness: Liveness;
  #isolated = false;
  #probedAt = Number.NEGATIVE_INFINITY;

  constructor(store: Store, clients: AgentClients, delivery: Delivery, liveness: Liveness) {
    this.#store = store;
    this.#clients = clients;
    this.#delivery = delivery;
    this.#liveness = liveness;
  }

  /** Looks, if there is a reason to, and says how it is. Takes as long as a probe, at most. */
  async look(): Promise<boolean> {
    if (!this.#isolated && !this.#isSuspicious()) return false;
    const now = performance.now();
    if (now - this.#probedAt < PROBE_EVERY_MS) return this.#isolated;
    this.#probedAt = now;
    const heard = (await listHosts(this.#store.read)).filter(({ id }) => this.#liveness.isUp(id));
    // nobody hears them: that is no news about this controller
    if (heard.length === 0) return this.#isolated;
    const chosen = heard.sort(() => Math.random() - 0.5).slice(0, PROBED_HOSTS);
    const reached = await Promise.all(
      chosen.map((host) =>
        this.#clients
          .for(host)
          // whatever it answers, it answers
          .request('GET', '/v1/ping', undefined, PROBE_TIMEOUT_MS)
          .then(
            () => true,
            () => false,
          ),
      ),
    );
    this.#isolated = !reached.includes(true);
    return this.#isolated;
  }

  #isSuspicious(): boolean {
    const now = performance.now();
    for (const [hostId, { failingSince }] of this.#delivery.queues) {
      if (failingSince === null || now - failingSince < SUSPICIOUS_MS) continue;
      if (this.#liveness.isUp(hostId)) return true;
    }
    return false;
  }
}
