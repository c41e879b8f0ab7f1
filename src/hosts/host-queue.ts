import { canonicalJson, specDigest } from '../protocol/keys.js';
import type { Logger } from '../protocol/log.js';
import {
  type HostSettings,
  PROTOCOL_VERSION,
  type SpecAck,
  type SpecPush,
  type SpecRefusal,
} from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import { type HostRow, reserveSequences } from '../store/hosts.js';
import type { Store, Tx } from '../store/store.js';
import type { AgentClients } from './agent-clients.js';
import { type Acknowledged, type Difference, difference } from './difference.js';
import { type DirtyHost, type DirtyKinds, joinKinds } from './dirty.js';
import type { Incarnations } from './incarnations.js';
import type { Lease } from './leases.js';
import type { ComputedSpec } from './spec.js';

export interface QueueDependencies {
  readonly store: Store;
  readonly clients: AgentClients;
  readonly log: Logger;
  readonly incarnations: Pick<Incarnations, 'refused'>;
  /** The drift policy that hosts are given. */
  readonly drift: () => HostSettings['drift'];
  /** The host answered. */
  readonly onContact: (hostId: string) => void;
  /** The queue wants its host's spec to be worked out. */
  readonly onWanting: (queue: HostQueue) => void;
}

/** Of which state of the database a spec is. */
export interface DatabaseState {
  readonly incarnation: string;
  readonly asOf: number;
}

const SEQUENCE_BLOCK = 1000;
/** Keys that a line of the log names at most. */
const MOST_SHOWN = 20;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 15_000;
/** A heartbeat may have been on its way while a push was taken; it is believed again after this long. */
const HEARTBEAT_GRACE_MS = 2_000;

/**
 * Brings one host's spec to it: one push at a time, retried until taken, whatever other hosts do. It says when it wants its spec to
 * be worked out; `take` tells of what kinds, and `deliver`, `failed` or `putBack` end what that began.
 */
export class HostQueue {
  readonly hostId: string;
  readonly lease: Lease | null;
  readonly #deps: QueueDependencies;
  readonly #log: Logger;
  /** null: unknown, the next push is a full one. */
  #acknowledged: Acknowledged | null = null;
  /** What may differ from what was acknowledged; null: nothing. */
  #dirty: DirtyHost | null = null;
  /** What the last push was to make of it. */
  #offered: ReadonlyMap<ObjectKey, string> | null = null;
  /** From `take` to the end of the push. */
  #busy = false;
  #pushing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #failures = 0;
  #fault: string | null = null;
  #failingSince: number | null = null;
  #sequence = 0;
  #reservedUpTo = 0;
  #confirmed = false;
  #pushedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(hostId: string, lease: Lease | null, deps: QueueDependencies) {
    this.hostId = hostId;
    this.lease = lease;
    this.#deps = deps;
    this.#log = deps.log.with({ host_id: hostId });
  }

  /** Why the last attempt failed; null when the host holds what it should, as far as is known. */
  get fault(): string | null {
    if (this.#fault === null && this.#acknowledged === null) return 'its spec has not been delivered yet';
    return this.#fault;
  }

  /** When the first of the attempts failed that have failed since; null when the last one did not. */
  get failingSince(): number | null {
    return this.#failingSince;
  }

  /** Objects of these kinds may have changed. */
  mark(kinds: DirtyKinds = 'all', requestIds: Iterable<string> = []): void {
    this.#note(kinds, requestIds);
    if (this.#retry) clearTimeout(this.#retry);
    this.#retry = null;
    this.#want();
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

  /** Compares what the host said `age` milliseconds ago that it holds with what it acknowledged. */
  heartbeat(incarnation: string | null, digest: string, age = 0): void {
    const settled = !this.#busy && performance.now() - age - this.#pushedAt > HEARTBEAT_GRACE_MS;
    if (this.#acknowledged && settled) {
      if (incarnation !== this.#acknowledged.incarnation || digest !== this.#acknowledged.digest) {
        this.#log.warn('host holds another spec than it acknowledged, sending it again', { digest });
        this.#acknowledged = null;
      }
    }
    // a host that can be heard can probably be reached: do not wait for the rest of the delay
    if (this.#retry || (!this.#acknowledged && !this.#busy)) this.mark(new Set());
  }

  /** True when the spec should be worked out now. */
  get wanting(): boolean {
    return this.#dirty !== null && !this.#busy && !this.#retry && !this.#closed;
  }

  /** Begins a delivery of the database as it is in this incarnation: what to work out. */
  take(incarnation: string): DirtyHost {
    if (this.#acknowledged?.incarnation !== incarnation) this.#acknowledged = null;
    const dirty = this.#dirty ?? { kinds: new Set(), requestIds: new Set<string>() };
    this.#dirty = null;
    this.#busy = true;
    return this.#acknowledged ? dirty : { ...dirty, kinds: 'all' };
  }

  /** Sends what was worked out, as far as the host does not hold it. */
  deliver(host: HostRow, state: DatabaseState, computed: ComputedSpec, dirty: DirtyHost): void {
    this.#pushing = this.#deliver(host, state, computed, dirty)
      .then(
        () => {
          this.#failures = 0;
          this.#fault = null;
          this.#failingSince = null;
        },
        (error: Error) => this.#fail(error, dirty),
      )
      .finally(() => {
        this.#pushing = null;
        this.#busy = false;
        this.#want();
      });
  }

  /** Whether the next push needs numbers that are still to be reserved. */
  get outOfNumbers(): boolean {
    return this.#sequence >= this.#reservedUpTo;
  }

  /** Reserves a block of sequence numbers; `reserved` takes what it gives, once it is committed. */
  async reserve(tx: Tx): Promise<number | null> {
    return await reserveSequences(tx, this.hostId, this.#sequence, SEQUENCE_BLOCK, this.lease);
  }

  /** The block is this queue's; null: another controller delivers to the host now. */
  reserved(from: number | null): void {
    if (from === null) {
      this.lease?.lost();
      return;
    }
    this.#sequence = from;
    this.#reservedUpTo = from + SEQUENCE_BLOCK;
  }

  /** What was taken could not be worked out. */
  failed(error: Error, dirty: DirtyHost): void {
    this.#fail(error, dirty);
    this.#busy = false;
  }

  /** What was taken was not worked out, though nothing failed: it is wanted again. */
  putBack(dirty: DirtyHost): void {
    this.#note(dirty.kinds, dirty.requestIds);
    this.#busy = false;
    this.#want();
  }

  /** True for objects that the host was last told of. */
  names(key: ObjectKey): boolean {
    return this.#acknowledged?.revisions.has(key) || this.#offered?.has(key) || false;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    await this.#pushing;
  }

  #note(kinds: DirtyKinds, requestIds: Iterable<string>): void {
    const known = this.#dirty;
    this.#dirty = {
      kinds: known ? joinKinds(known.kinds, kinds) : kinds,
      requestIds: new Set([...(known?.requestIds ?? []), ...requestIds]),
    };
  }

  #want(): void {
    if (this.wanting) this.#deps.onWanting(this);
  }

  #fail(error: Error, dirty: DirtyHost): void {
    this.#fault = error.message;
    this.#failingSince ??= performance.now();
    this.#note(dirty.kinds, dirty.requestIds);
    if (this.#closed) return;
    const delay = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LAST_RETRY_MS) * (0.75 + Math.random() / 2);
    // a host that has just joined, or is starting again, does not listen yet: that is no news
    if (++this.#failures % 20 === 3) {
      this.#log.warn('spec not delivered', { error: error.message, retry_ms: Math.round(delay) });
    }
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#want();
    }, delay);
    this.#retry.unref();
  }

  async #deliver(
    host: HostRow,
    state: DatabaseState,
    computed: ComputedSpec,
    dirty: DirtyHost,
  ): Promise<void> {
    for (const [kind, error] of computed.failed) {
      this.#log.error('objects cannot be worked out', { kind, error });
    }
    const [broken] = computed.failed.values();
    if (broken && !this.#acknowledged) throw broken;
    const settings = { observe_only: host.observe_only === 1, drift: this.#deps.drift() };
    const found = difference(this.#acknowledged, computed, settings);
    if (found) await this.#push(host, state, found, [...dirty.requestIds]);
    if (broken) throw broken;
  }

  async #push(
    host: HostRow,
    state: DatabaseState,
    found: Difference,
    requestIds: readonly string[],
  ): Promise<void> {
    const push: SpecPush = {
      protocol: PROTOCOL_VERSION,
      incarnation: state.incarnation,
      sequence: await this.#nextSequence(),
      as_of: state.asOf,
      base: found.base,
      changed: found.changed,
      removed: found.removed,
      settings: found.settings,
      request_ids: requestIds,
      ...(this.#confirmed ? { confirmed: true as const } : {}),
    };
    this.#checkLease();
    this.#offered = found.revisions;
    const client = this.#deps.clients.for(host);
    const { status, body } = await client.request<SpecAck | SpecRefusal>('POST', '/v1/spec', push);
    this.#deps.onContact(this.hostId);
    if (status === 200) {
      this.#logDelivery(host, push);
      return this.#taken(state, found, body as SpecAck, requestIds);
    }
    const refusal = body as SpecRefusal | null;
    // an older state of the database is either this controller's reading or a restored backup; a new reading is enough for both
    const again =
      refusal?.reason === 'older' || refusal?.reason === 'stale'
        ? await this.#deps.incarnations.refused(host, state.incarnation, refusal)
        : found.base !== null;
    if (status === 409 && refusal && again) {
      // after a stale one the next number has to be reserved, which another owner of the host would prevent
      this.#sequence = Math.max(this.#sequence, refusal.sequence);
      this.#startAgain(requestIds);
      return;
    }
    throw new Error(
      `host ${host.name} refused its spec (${status}): ${refusal?.message ?? 'no reason given'}`,
    );
  }

  /** Where the way of a request goes on: in the log of the host's agent. */
  #logDelivery(host: HostRow, { sequence, changed, removed, request_ids }: SpecPush): void {
    const keys = [...Object.keys(changed), ...removed.map((key) => `-${key}`)];
    const level = request_ids.length > 0 ? 'info' : 'debug';
    const objects = keys.length > MOST_SHOWN ? `${keys.length} objects` : keys;
    this.#log[level]('spec delivered', { host: host.name, sequence, objects, request_ids });
  }

  #taken(state: DatabaseState, found: Difference, ack: SpecAck, requestIds: readonly string[]): void {
    this.#pushedAt = performance.now();
    this.#confirmed = false;
    const { revisions, settings } = found;
    const expected = specDigest(
      Object.fromEntries([...revisions].map(([key, revision]) => [key, { revision }])),
      settings,
    );
    if (ack.digest === expected) {
      const { incarnation } = state;
      this.#acknowledged = {
        incarnation,
        digest: ack.digest,
        revisions,
        settingsText: canonicalJson(settings),
      };
    } else if (found.base === null) {
      throw new Error(`the host acknowledged digest ${ack.digest}, expected ${expected}`);
    } else {
      this.#startAgain(requestIds);
    }
  }

  /** The host holds something else: everything goes to it next. */
  #startAgain(requestIds: readonly string[]): void {
    this.#acknowledged = null;
    this.#note('all', requestIds);
  }

  async #nextSequence(): Promise<number> {
    if (this.outOfNumbers) {
      const from = await this.#deps.store.tx((tx) => this.reserve(tx));
      this.reserved(from);
      if (from === null) throw new Error('another controller delivers to this host now');
    }
    return ++this.#sequence;
  }

  /** Whoever was stopped for a while must not go on as if nothing had happened. */
  #checkLease(): void {
    if (this.lease && !this.lease.valid())
      throw new Error('the lease of this controller on the host has run out');
  }
}
