import type { AnyHostKind } from '../desired/kind.js';
import { canonicalJson, parseKey, specDigest } from '../protocol/keys.js';
import type { Logger } from '../protocol/log.js';
import {
  type HostSettings,
  PROTOCOL_VERSION,
  type SpecAck,
  type SpecPush,
  type SpecRefusal,
} from '../protocol/messages.js';
import type { ObjectKey, Spec, SpecObject } from '../protocol/objects.js';
import { findHost, type HostRow, reserveSequences } from '../store/hosts.js';
import type { Store } from '../store/store.js';
import type { AgentClients } from './agent-clients.js';
import type { Incarnations } from './incarnations.js';
import { computeSpec, mentionedIds } from './spec.js';

export interface QueueDependencies {
  readonly store: Store;
  readonly kinds: readonly AnyHostKind[];
  readonly clients: AgentClients;
  readonly log: Logger;
  readonly incarnations: Pick<Incarnations, 'current' | 'asOf' | 'refused'>;
  /** The drift policy that hosts are given. */
  readonly drift: HostSettings['drift'];
  /** The host answered. */
  readonly onContact: (hostId: string) => void;
}

/** What the host is known to hold. */
interface Acknowledged {
  readonly incarnation: string;
  readonly digest: string;
  readonly revisions: ReadonlyMap<ObjectKey, string>;
  readonly settings: HostSettings;
}

const SEQUENCE_BLOCK = 1000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 15_000;
/** A heartbeat may have been on its way while a push was taken; it is believed again after this long. */
const HEARTBEAT_GRACE_MS = 2_000;

/** Brings one host's spec to it: one push at a time, retried until taken, whatever other hosts do. */
export class HostQueue {
  readonly hostId: string;
  readonly #deps: QueueDependencies;
  readonly #log: Logger;
  /** null: unknown, the next push is a full one. */
  #acknowledged: Acknowledged | null = null;
  #mentioned: ReadonlySet<string> = new Set();
  #dirty = false;
  #running: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #failures = 0;
  #requestIds = new Set<string>();
  #sequence = 0;
  #reservedUpTo = 0;
  #confirmed = false;
  #pushedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(hostId: string, deps: QueueDependencies) {
    this.hostId = hostId;
    this.#deps = deps;
    this.#log = deps.log.with({ host_id: hostId });
  }

  /** Why the last attempt failed; null when the host holds what it should, as far as is known. */
  fault: string | null = null;
  /** When the first of the attempts failed that have failed since; null when the last one did not. */
  failingSince: number | null = null;

  /** The spec may have changed. */
  mark(requestIds: Iterable<string> = []): void {
    for (const id of requestIds) this.#requestIds.add(id);
    this.#dirty = true;
    this.#start();
  }

  /** The host no longer holds what it acknowledged: send everything. */
  resync(): void {
    this.#acknowledged = null;
    this.mark();
  }

  /** The next push may destroy any number of guests. */
  confirmRemoval(): void {
    this.#confirmed = true;
    this.mark();
  }

  /** Compares what the host says it holds with what it acknowledged. */
  heartbeat(incarnation: string | null, digest: string): void {
    const settled = !this.#running && performance.now() - this.#pushedAt > HEARTBEAT_GRACE_MS;
    if (this.#acknowledged && settled) {
      if (incarnation !== this.#acknowledged.incarnation || digest !== this.#acknowledged.digest) {
        this.#log.warn('host holds another spec than it acknowledged, sending it again', { digest });
        this.#acknowledged = null;
        this.#dirty = true;
      }
    }
    // a host that can be heard can probably be reached: do not wait for the rest of the delay
    if (this.#retry || this.#dirty || !this.#acknowledged) this.mark();
  }

  /** True when the last computed spec mentions the id. */
  mentions(id: string): boolean {
    return this.#mentioned.has(id);
  }

  /** Like `mentions`, on a spec worked out now. */
  async mentionsNow(id: string): Promise<boolean> {
    const { spec } = await computeSpec(this.#deps.store, this.#deps.kinds, this.hostId);
    this.#mentioned = mentionedIds(spec);
    return this.#mentioned.has(id);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    await this.#running;
  }

  #start(): void {
    if (this.#closed || this.#running) return;
    if (this.#retry) clearTimeout(this.#retry);
    this.#retry = null;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      // marked between the last look and here
      if (this.#dirty && !this.#retry) this.#start();
    });
  }

  async #run(): Promise<void> {
    while (this.#dirty && !this.#closed) {
      this.#dirty = false;
      try {
        await this.#deliver();
        this.#failures = 0;
        this.fault = null;
        this.failingSince = null;
      } catch (error) {
        this.#failed(error as Error);
        return;
      }
    }
  }

  #failed(error: Error): void {
    this.fault = error.message;
    this.failingSince ??= performance.now();
    this.#dirty = true;
    if (this.#closed) return;
    const delay = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LAST_RETRY_MS) * (0.75 + Math.random() / 2);
    // a host that has just joined, or is starting again, does not listen yet: that is no news
    if (++this.#failures % 20 === 3) {
      this.#log.warn('spec not delivered', { error: error.message, retry_ms: Math.round(delay) });
    }
    this.#retry = setTimeout(() => this.#start(), delay);
    this.#retry.unref();
  }

  async #deliver(): Promise<void> {
    const { store, kinds } = this.#deps;
    const { incarnations } = this.#deps;
    // before the host's row: a new incarnation must not go out with the settings from before it
    const state = { incarnation: await incarnations.current(), asOf: await incarnations.asOf() };
    const host = await findHost(store.read, this.hostId);
    if (!host) return;
    const requestIds = [...this.#requestIds];
    if (this.#acknowledged?.incarnation !== state.incarnation) this.#acknowledged = null;
    const { spec, failed } = await computeSpec(store, kinds, this.hostId);
    this.#mentioned = mentionedIds(spec);
    for (const [kind, error] of failed) this.#log.error('objects cannot be worked out', { kind, error });
    const [first] = failed.values();
    if (first && !this.#acknowledged) throw first;
    const settings = { observe_only: host.observe_only === 1, drift: this.#deps.drift };
    const difference = this.#difference(spec, settings, new Set(failed.keys()));
    const taken = !difference || (await this.#push(host, state, difference, requestIds));
    if (taken) for (const id of requestIds) this.#requestIds.delete(id);
    if (first) throw first;
  }

  /** null: the host holds it already. */
  #difference(spec: Spec, settings: HostSettings, failed: ReadonlySet<string>): Difference | null {
    const held = this.#acknowledged;
    const revisions = new Map<ObjectKey, string>();
    const changed: Record<ObjectKey, SpecObject> = {};
    for (const [key, object] of Object.entries(spec) as [ObjectKey, SpecObject][]) {
      revisions.set(key, object.revision);
      if (held?.revisions.get(key) !== object.revision) changed[key] = object;
    }
    if (!held) return { base: null, changed, removed: [], revisions, settings };
    const removed: ObjectKey[] = [];
    for (const [key, revision] of held.revisions) {
      if (revisions.has(key)) continue;
      if (failed.has(parseKey(key).kind)) revisions.set(key, revision);
      else removed.push(key);
    }
    const sameSettings = canonicalJson(settings) === canonicalJson(held.settings);
    if (sameSettings && removed.length === 0 && Object.keys(changed).length === 0) return null;
    return { base: held.digest, changed, removed, revisions, settings };
  }

  /** False: the host holds something else, another push follows at once. */
  async #push(
    host: HostRow,
    state: DatabaseState,
    difference: Difference,
    requestIds: readonly string[],
  ): Promise<boolean> {
    const push: SpecPush = {
      protocol: PROTOCOL_VERSION,
      incarnation: state.incarnation,
      sequence: await this.#nextSequence(),
      as_of: state.asOf,
      base: difference.base,
      changed: difference.changed,
      removed: difference.removed,
      settings: difference.settings,
      request_ids: requestIds,
      ...(this.#confirmed ? { confirmed: true as const } : {}),
    };
    const client = this.#deps.clients.for(host);
    const { status, body } = await client.request<SpecAck | SpecRefusal>('POST', '/v1/spec', push);
    this.#deps.onContact(this.hostId);
    if (status === 200) {
      this.#taken(state.incarnation, difference, body as SpecAck);
      return true;
    }
    const refusal = body as SpecRefusal | null;
    // an older state of the database is either this controller's reading or a restored backup; a new reading is enough for both
    const again =
      refusal?.reason === 'older'
        ? await this.#deps.incarnations.refused(host, state.incarnation, refusal)
        : difference.base !== null || refusal?.reason === 'stale';
    if (status === 409 && refusal && again) {
      this.#acknowledged = null;
      this.#sequence = Math.max(this.#sequence, refusal.sequence);
      this.#dirty = true;
      return false;
    }
    throw new Error(
      `host ${host.name} refused its spec (${status}): ${refusal?.message ?? 'no reason given'}`,
    );
  }

  #taken(incarnation: string, difference: Difference, ack: SpecAck): void {
    this.#pushedAt = performance.now();
    this.#confirmed = false;
    const expected = specDigest(
      Object.fromEntries([...difference.revisions].map(([key, revision]) => [key, { revision }])),
      difference.settings,
    );
    if (ack.digest === expected) {
      const { revisions, settings } = difference;
      this.#acknowledged = { incarnation, digest: ack.digest, revisions, settings };
    } else if (difference.base === null) {
      throw new Error(`the host acknowledged digest ${ack.digest}, expected ${expected}`);
    } else {
      this.#acknowledged = null;
      this.#dirty = true;
    }
  }

  async #nextSequence(): Promise<number> {
    if (this.#sequence >= this.#reservedUpTo) {
      const { store } = this.#deps;
      const from = await store.tx((tx) => reserveSequences(tx, this.hostId, this.#sequence, SEQUENCE_BLOCK));
      this.#sequence = from;
      this.#reservedUpTo = from + SEQUENCE_BLOCK;
    }
    return ++this.#sequence;
  }
}

/** Of which state of the database a spec is. */
interface DatabaseState {
  readonly incarnation: string;
  readonly asOf: number;
}

interface Difference {
  /** Digest of what it was computed against; null: full. */
  readonly base: string | null;
  readonly changed: Spec;
  readonly removed: readonly ObjectKey[];
  /** What the host holds once it has taken it. */
  readonly revisions: ReadonlyMap<ObjectKey, string>;
  readonly settings: HostSettings;
}
