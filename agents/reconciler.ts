import type { Logger } from '../src/protocol/log.js';
import { inLogContext } from '../src/protocol/log-context.js';
import type { DriftHealReply, ObjectReport } from '../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../src/protocol/objects.js';
import { LookRate, type LookRateOptions } from './drift/rate.js';
import type { DriftRegister } from './drift/register.js';
import { BatchLane, ObjectLane } from './lanes.js';
import { compare } from './observe-only.js';
import { Outcomes } from './outcomes.js';
import type { Part } from './part.js';
import { RequestIds, type TakenRequests } from './request-ids.js';
import { Retries } from './retries.js';
import { isNetworkKey, networkKeys, volumesOf } from './spec-keys.js';

/** The parts by their place in the order: [network ∥ storage] → compute; metadata once the network is there. */
export interface Parts {
  readonly network: Part;
  readonly storage: Part;
  readonly compute: Part;
  readonly metadata: Part;
}

/** What had been brought about when the process before this one ended. */
export interface Settled {
  /** The files of all objects but these; null: not known. */
  readonly data: ReadonlySet<ObjectKey> | null;
  /** The network as well, but for these. */
  readonly plumbing: ReadonlySet<ObjectKey> | null;
}

export interface ReconcilerOptions {
  readonly parts: Parts;
  readonly spec: () => Spec;
  readonly report: (report: ObjectReport) => void;
  readonly log: Logger;
  /** Where what others have changed is noted, and whether it is to be put right. */
  readonly drift?: DriftRegister;
  /** True: nothing on the host is changed, objects are only compared. */
  readonly observeOnly?: () => boolean;
  /** False: the guest waits; `changed` is to be called for all that waited when they may run. */
  readonly mayRun?: (key: ObjectKey) => boolean;
  readonly settled?: () => Settled;
  /** How often the network may be looked at because of what others do. */
  readonly lookRate?: LookRateOptions;
  /** Delay before the first repetition of what failed; doubles up to 60 s. */
  readonly retryMs?: number;
}

const OBJECTS_AT_ONCE = 16;
/** Keys that a line of the log names at most. */
const MOST_SHOWN = 20;
/** What leaves (ports, volumes) waits this long for the guests of the same push to let go of it. */
const LEAVE_DELAY_MS = 10_000;

/**
 * Brings the host in line with its spec. Network objects go through one batcher, servers and volumes each through a queue of
 * its own, so a slow one delays nobody else. What fails is tried again, alone.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #network: BatchLane<ObjectKey>;
  readonly #metadata: BatchLane<ObjectKey>;
  readonly #objects: ObjectLane<ObjectKey>;
  readonly #outcomes: Outcomes;
  readonly #retries: Retries;
  readonly #requests = new RequestIds();
  /** Parts whose last run failed as a whole: the next one observes everything. */
  readonly #distrusted = new Set<Part>();
  /** Objects that this process has brought about or compared at least once. */
  readonly #seen = new Set<ObjectKey>();
  readonly #rate: LookRate;
  #networkSeen = false;
  #closed = false;
  #end = () => {};
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#retries = new Retries((key) => void this.changed([key]), options.retryMs);
    this.#outcomes = new Outcomes({
      report: options.report,
      failed: (key) => this.#retries.later(key),
      settled: (key) => this.#retries.forget(key),
      recovered: (key) => this.#wakeWaiting(key),
      askAgain: (key) => void this.#network.add([key]),
    });
    this.#rate = new LookRate(() => this.lookAtNetwork(), options.lookRate);
    const { network, metadata } = options.parts;
    this.#network = new BatchLane((keys) => this.#applyBatch(network, keys));
    this.#metadata = new BatchLane((keys) => this.#applyBatch(metadata, keys));
    this.#objects = new ObjectLane(
      OBJECTS_AT_ONCE,
      (key) => this.#applyObject(key),
      async (key) => {
        if (options.observeOnly?.() || !this.#mayRun(key)) return;
        const context = { request_ids: this.#requests.of([key]), objects: [key] };
        await inLogContext(context, async () => {
          await options.parts.storage.prepare?.({ spec: options.spec(), changed: new Set([key]) });
        });
      },
    );
    for (const part of Object.values(options.parts) as Part[])
      part.watch?.(
        (keys) => void this.changed(keys),
        () => this.#rate.suspect(),
      );
  }

  /** Latest report of each object; what is gone has none. */
  get latest(): ReadonlyMap<ObjectKey, ObjectReport> {
    return this.#outcomes.latest;
  }

  /** Objects of the spec, or of the host, that changed. Resolves when they have been applied once. */
  async changed(keys: Iterable<ObjectKey>, requestIds: readonly string[] = []): Promise<void> {
    if (this.#closed) return;
    const spec = this.#options.spec();
    const all = [...keys];
    for (const key of all) this.#requests.add(key, requestIds);
    const servers = all.filter((key) => key.startsWith('server/'));
    const volumes = all.filter((key) => key.startsWith('volume/'));
    const network = all.filter(isNetworkKey);
    const stays = (key: ObjectKey) => spec[key] !== undefined && !spec[key].tombstone;

    const connected = network.some(stays) ? this.#network.add(network.filter(stays)) : this.#network.idle();
    const made = volumes.filter(stays).map((key) => this.#objects.add(key));
    const served = Promise.all(servers.map((key) => this.#objects.add(key)));
    const described = connected.then(() => (all.length ? this.#metadata.add(all) : undefined));

    const leaving = all.filter((key) => !stays(key) && !key.startsWith('server/'));
    if (leaving.length > 0) {
      await Promise.race([served, delay(LEAVE_DELAY_MS)]);
      for (const key of leaving) if (isNetworkKey(key)) this.#outcomes.leaves(key);
      const unplugged = this.#network.add(leaving.filter(isNetworkKey));
      const destroyed = leaving.filter((key) => !isNetworkKey(key)).map((key) => this.#objects.add(key));
      await Promise.all([unplugged, ...destroyed]);
    }
    await Promise.all([connected, served, described, ...made]);
  }

  /** Observes the network as a whole, and what stands on it. */
  async lookAtNetwork(): Promise<void> {
    if (this.#closed) return;
    await this.#network.add(null);
    await this.#metadata.add(null);
  }

  /** Puts an object right that was only reported as changed by others. */
  async heal(key: ObjectKey): Promise<DriftHealReply> {
    const { drift } = this.#options;
    if (!drift?.force(key)) return { outcome: 'unknown', detail: null };
    await (isNetworkKey(key) ? this.lookAtNetwork() : this.changed([key]));
    const detail = drift.standing(key);
    return { outcome: detail === null ? 'healed' : 'reported', detail };
  }

  /** Everything, with a full observation: at the start, now and then, after errors. */
  async fullSync(): Promise<void> {
    if (this.#closed) return;
    const connected = this.#network.add(null);
    const spec = this.#options.spec();
    const keys = (Object.keys(spec) as ObjectKey[]).filter((key) => !isNetworkKey(key));
    const applied = Promise.all(keys.map((key) => this.#objects.add(key)));
    await connected;
    await Promise.all([applied, this.#metadata.add(null)]);
    this.#options.drift?.keepOnly((key) => this.#options.spec()[key] !== undefined);
    if (this.#options.observeOnly?.()) return;
    for (const part of Object.values(this.#options.parts) as Part[]) {
      try {
        await part.housekeeping?.(this.#options.spec());
      } catch (error) {
        this.#options.log.warn('housekeeping failed', { part: part.name, error });
      }
    }
  }

  /** Resolves when all that has begun, or waits for its turn, has been done; rejects when this ends before. */
  async idle(): Promise<void> {
    const all = [this.#network.idle(), this.#metadata.idle(), this.#objects.allIdle()];
    await Promise.race([Promise.allSettled(all), this.#ended]);
    if (this.#closed) throw new Error('the agent ends before all work on its host has ended');
  }

  /** Names of the parts whose last run failed as a whole. */
  get failedParts(): readonly string[] {
    return [...this.#distrusted].map(({ name }) => name);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#end();
    this.#rate.close();
    this.#retries.close();
    for (const part of Object.values(this.#options.parts) as Part[]) await part.close?.();
  }

  async #applyBatch(part: Part, keys: ReadonlySet<ObjectKey> | null): Promise<void> {
    if (this.#closed || keys?.size === 0) return;
    const isNetwork = part === this.#options.parts.network;
    const taken = this.#requests.take(isNetwork ? (keys ?? this.#requests.keys.filter(isNetworkKey)) : []);
    const context = {
      request_ids: taken.ids,
      ...(keys && keys.size <= MOST_SHOWN && { objects: [...keys] }),
    };
    await inLogContext(context, () => this.#runBatch(part, isNetwork, keys, taken));
  }

  async #runBatch(
    part: Part,
    isNetwork: boolean,
    keys: ReadonlySet<ObjectKey> | null,
    requests: TakenRequests,
  ): Promise<void> {
    const spec = this.#options.spec();
    // after a failure that no object explains, nothing that was observed before is believed
    const changed = this.#distrusted.delete(part) ? null : keys;
    const began = performance.now();
    try {
      if (this.#options.observeOnly?.()) {
        // the metadata service changes nothing on the host, and guests ask it
        if (isNetwork) await this.#observe(spec, keys ?? networkKeys(spec), [part]);
        else await part.apply({ spec, changed });
        return;
      }
      const look = isNetwork ? this.#options.drift?.look('network', isNetworkKey) : undefined;
      const except = isNetwork && !this.#networkSeen ? this.#options.settled?.().plumbing : null;
      const reports = await part.apply({
        spec,
        changed,
        ...(look ? { look } : {}),
        ...(except ? { settled: { except } } : {}),
      });
      if (isNetwork) this.#networkSeen = true;
      look?.finish(reports);
      this.#log(part, changed, requests.ids, began);
      for (const { key, state } of reports) if (state === 'error') requests.giveBack(key);
      if (isNetwork) this.#outcomes.take(spec, keys ?? [], reports);
      else this.#outcomes.takeMetadata(spec, changed, reports);
      // a run for everything tells of what is in the spec: ask for what is to go by name
      if (isNetwork && keys === null) {
        await this.#applyBatch(part, this.#outcomes.stillLeaving(this.#options.spec()));
      }
    } catch (error) {
      this.#options.log.error('part failed', { part: part.name, error });
      this.#distrusted.add(part);
      const affected = keys ?? networkKeys(spec);
      for (const key of affected) {
        requests.giveBack(key);
        const revision = spec[key]?.revision ?? null;
        if (isNetworkKey(key))
          this.#outcomes.record({ key, revision, state: 'error', error: { message: messageOf(error) } });
      }
    }
  }

  /** One server or volume: its files, then, once the network and its volumes are there, its domain. */
  async #applyObject(key: ObjectKey): Promise<void> {
    if (this.#closed) return;
    const { storage, compute } = this.#options.parts;
    const { observeOnly } = this.#options;
    const spec = this.#options.spec();
    if (observeOnly?.()) return await this.#observe(spec, [key], [storage, compute]);
    if (!this.#mayRun(key)) return;
    const taken = this.#requests.take([key]);
    await inLogContext({ request_ids: taken.ids, objects: [key] }, () => this.#runObject(key, spec, taken));
    if (this.latest.get(key)?.state === 'error') taken.giveBack(key);
  }

  async #runObject(key: ObjectKey, spec: Spec, requests: TakenRequests): Promise<void> {
    const { storage, compute } = this.#options.parts;
    const { drift } = this.#options;
    const changed = new Set([key]);
    const except = this.#seen.has(key) ? null : this.#options.settled?.().data;
    this.#seen.add(key);
    const began = performance.now();
    let part = storage;
    try {
      const files = drift?.look('storage', (one) => one === key);
      const fromStorage = await storage.apply({
        spec,
        changed,
        ...(files ? { look: files } : {}),
        ...(except ? { settled: { except } } : {}),
      });
      files?.finish(fromStorage);
      if (!key.startsWith('server/') || fromStorage.some((r) => r.key === key && r.state === 'error')) {
        this.#log(storage, changed, requests.ids, began);
        this.#outcomes.take(spec, changed, fromStorage);
        return;
      }
      await this.#network.idle();
      await Promise.all(volumesOf(spec, key).map((volume) => this.#objects.idle(volume)));
      // all this may have taken long: what was let go of meanwhile must not be started
      const stillWanted = () => this.#isWanted(key, spec);
      if (!stillWanted()) return this.#outcomes.take(this.#options.spec(), changed, []);
      part = compute;
      // what changed meanwhile is applied by the run that is queued behind this one
      const domain = drift?.look('compute', (one) => one === key);
      const reports = await compute.apply({
        spec,
        changed,
        stillWanted,
        ...(domain ? { look: domain } : {}),
      });
      domain?.finish(reports);
      this.#log(compute, changed, requests.ids, began);
      this.#outcomes.take(spec, changed, reports);
    } catch (error) {
      this.#options.log.error('part failed', { part: part.name, key, error });
      this.#outcomes.take(spec, changed, [
        {
          key,
          revision: spec[key]?.revision ?? null,
          state: 'error',
          error: { message: (error as Error).message },
        },
      ]);
    }
  }

  /** Compares objects with what the host has, and says so; changes nothing. */
  async #observe(spec: Spec, keys: Iterable<ObjectKey>, parts: readonly Part[]): Promise<void> {
    for (const report of await compare(spec, new Set(keys), parts, this.#options.parts.compute)) {
      if (!this.#closed) this.#outcomes.record(report);
    }
  }

  /** Whether what an earlier spec says of an object has not ended in the one that holds now. */
  #isWanted(key: ObjectKey, earlier: Spec): boolean {
    const now = this.#options.spec()[key];
    return now !== undefined && (!now.tombstone || earlier[key]?.tombstone === true);
  }

  #mayRun(key: ObjectKey): boolean {
    const object = this.#options.spec()[key];
    // what was to be destroyed before the host went down still is
    if (!key.startsWith('server/') || object?.tombstone) return true;
    return this.#options.mayRun?.(key) ?? true;
  }

  /** A port or volume that has come right may be all that a server was waiting for. */
  #wakeWaiting(key: ObjectKey): void {
    if (key.startsWith('server/')) return;
    for (const report of this.latest.values()) {
      if (report.state === 'error' && report.key.startsWith('server/')) void this.#objects.add(report.key);
    }
  }

  #log(part: Part, keys: ReadonlySet<ObjectKey> | null, requestIds: readonly string[], began: number): void {
    const level = requestIds.length > 0 ? 'info' : 'debug';
    const shown = keys === null ? 'all' : keys.size > MOST_SHOWN ? `${keys.size} objects` : [...keys];
    const ms = Math.round(performance.now() - began);
    this.#options.log[level]('applied', { part: part.name, keys: shown, ms });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
