import { PeerClient, PeerUnreachable } from '../../../src/protocol/peer-client.js';
import { pause } from './fault-cloud.js';

/** Numbers between 0 and 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What may happen to a message, and how often in a hundred. */
const FAULTS = {
  /** It never arrives. */
  lost: 10,
  /** It is carried out, and its answer never arrives. */
  unanswered: 10,
  /** The sender gives up; it arrives later, after what was sent meanwhile. */
  late: 6,
  /** It arrives twice, the second time after what was sent meanwhile. */
  repeated: 8,
  /** It takes its time, so that others overtake it. */
  delayed: 20,
} as const;
type Fault = keyof typeof FAULTS;

const LATE_MS = 400;
const DELAY_MS = 60;

/**
 * Damages what controller and agents say to each other in this process, in both directions, from `start` to `stop`. Which message meets
 * which fault follows from the seed; what messages there are depends on timing, so a seed narrows a failure down and does not replay it.
 */
export class FaultyTransport {
  /** How often each fault happened. */
  readonly counts: Record<Fault, number> = { lost: 0, unanswered: 0, late: 0, repeated: 0, delayed: 0 };
  readonly #random: () => number;
  readonly #under = new Set<Promise<unknown>>();
  #active = false;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  start(): void {
    this.#active = true;
    const { request, stream } = originals;
    const transport = this;
    PeerClient.prototype.request = function (this: PeerClient, ...args: Parameters<typeof request>) {
      const send = () => request.apply(this, args);
      // biome-ignore lint/suspicious/noExplicitAny: the reply's type is the caller's
      return transport.#send(send, `${this.peerName}: ${args[0]} ${args[1]}`) as any;
    };
    PeerClient.prototype.stream = async function (this: PeerClient, ...args: Parameters<typeof stream>) {
      const response = await stream.apply(this, args);
      // a download that breaks off half-way
      if (transport.#active && transport.#random() < 0.3)
        setImmediate(() => response.destroy(new Error('cut')));
      return response;
    };
  }

  /** Resolves when nothing that was held back is on its way any more. */
  async stop(): Promise<void> {
    this.#active = false;
    PeerClient.prototype.request = originals.request;
    PeerClient.prototype.stream = originals.stream;
    await Promise.all(this.#under);
  }

  async #send<T>(send: () => Promise<T>, what: string): Promise<T> {
    const fault = this.#draw();
    if (!this.#active || fault === null) return await send();
    this.counts[fault]++;
    switch (fault) {
      case 'lost':
        throw new PeerUnreachable(`${what}: lost`, null);
      case 'unanswered':
        await send();
        throw new PeerUnreachable(`${what}: no answer`, null);
      case 'late':
        this.#later(send);
        throw new PeerUnreachable(`${what}: no answer yet`, null);
      case 'repeated':
        this.#later(send);
        return await send();
      case 'delayed':
        await pause(this.#random() * DELAY_MS);
        return await send();
    }
  }

  #later(send: () => Promise<unknown>): void {
    const sent = pause(this.#random() * LATE_MS)
      .then(send)
      .catch(() => {})
      .finally(() => this.#under.delete(sent));
    this.#under.add(sent);
  }

  #draw(): Fault | null {
    let number = this.#random() * 100;
    for (const [fault, percent] of Object.entries(FAULTS) as [Fault, number][]) {
      number -= percent;
      if (number < 0) return fault;
    }
    return null;
  }
}

const originals = { request: PeerClient.prototype.request, stream: PeerClient.prototype.stream };
