import { X509Certificate } from 'node:crypto';
import type { Logger } from '../../src/protocol/log.js';
import type { StateFiles } from '../spec-store.js';
import type { Controller } from './controller.js';
import { type Identity, renew } from './identity.js';

export interface RenewalOptions {
  readonly files: StateFiles;
  readonly stateDir: string;
  readonly controller: Controller;
  /** Addresses that the certificate shall name. */
  readonly addresses: readonly string[];
  /** Called with each new identity, which is on disk by then. */
  readonly use: (identity: Identity) => void;
  readonly log: Logger;
}

const LONGEST_WAIT_MS = 3_600_000;
const SHORTEST_WAIT_MS = 250;
/** A controller that keeps asking is not answered more often than this. */
const DEMAND_MS = 1_000;
const DEMAND_AFTER_FAILURE_MS = 10_000;

/**
 * Keeps this host's certificate fresh: asks for a new one in the last third of its life, and when the controller wants it. What
 * fails is tried again until it works; the old certificate serves as long as it lasts.
 */
export class Renewal {
  readonly #options: RenewalOptions;
  #identity: Identity;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #nextDemand = 0;
  #failures = 0;
  #closed = false;

  constructor(identity: Identity, options: RenewalOptions) {
    this.#identity = identity;
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  /** The controller wants this host to have another certificate now: its authority is being replaced. */
  demand(): void {
    if (performance.now() < this.#nextDemand) return;
    this.#run();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(): void {
    if (this.#closed) return;
    if (this.#timer) clearTimeout(this.#timer);
    const life = lifeOf(this.#identity.certificate);
    // after a failure a thirtieth of the life; never without looking at the clock again for long, since clocks are set
    const wait = this.#failures > 0 ? (life.to - life.from) / 30 : life.renewAt - Date.now();
    const ms = Math.min(Math.max(wait, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => {
      if (Date.now() >= lifeOf(this.#identity.certificate).renewAt) this.#run();
      else this.#schedule();
    }, ms);
    this.#timer.unref();
  }

  #run(): void {
    if (this.#closed || this.#running) return;
    this.#running = this.#renew().finally(() => {
      this.#running = null;
      this.#schedule();
    });
  }

  async #renew(): Promise<void> {
    const { files, stateDir, controller, addresses, use, log } = this.#options;
    try {
      this.#identity = await renew(files, stateDir, this.#identity, controller.client, addresses);
      use(this.#identity);
      this.#failures = 0;
      this.#nextDemand = performance.now() + DEMAND_MS;
      log.info('certificate renewed', {
        until: new Date(lifeOf(this.#identity.certificate).to).toISOString(),
      });
    } catch (error) {
      this.#failures++;
      this.#nextDemand = performance.now() + DEMAND_AFTER_FAILURE_MS;
      const expired = expiryAdvice(this.#identity, new Date());
      if (expired) log.error(expired, { error });
      else log.warn('the certificate could not be renewed, trying again', { error });
    }
  }
}

/** What to do about a certificate that has expired; null while it is good. */
export function expiryAdvice(identity: Identity, now: Date): string | null {
  const { to } = lifeOf(identity.certificate);
  if (now.getTime() < to) return null;
  return `the certificate of this host expired at ${new Date(to).toISOString()}, so the controller does not let it in: if this host's clock is right, make a token on the controller (maru host token --name ${identity.name}) and start the agent with it (maru agent --join TOKEN)`;
}

/** True in the last third of a certificate's life. */
export function isRenewalDue(certificate: string, now: Date): boolean {
  return now.getTime() > lifeOf(certificate).renewAt;
}

/** Milliseconds since 1970. */
function lifeOf(certificate: string): {
  readonly from: number;
  readonly to: number;
  readonly renewAt: number;
} {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return { from, to, renewAt: to - (to - from) / 3 };
}
