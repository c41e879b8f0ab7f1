import { parseKey } from '../src/protocol/keys.js';
import type { Logger } from '../src/protocol/log.js';
import type { DriftHealReply, ObjectReport, PlanStep } from '../src/protocol/messages.js';
import type { ObjectKey, ServerObject, Spec } from '../src/protocol/objects.js';
import { LookRate, type LookRateOptions } from './drift/rate.js';
import type { DriftRegister } from './drift/register.js';
import { BatchLane, ObjectLane } from './lanes.js';
import { observedReport } from './observe-only.js';
import type { Part } from './part.js';

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
const LAST_RETRY_MS = 60_000;
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
  readonly #latest = new Map<ObjectKey, ObjectReport>();
  /** What is wrong with the metadata service of a router or DHCP server, whose own part may be content. */
  readonly #metadataErrors = new Map<ObjectKey, ObjectReport>();
  readonly #failures = new Map<ObjectKey, { count: number; timer: NodeJS.Timeout }>();
  /** Requests that changed a key since it was last applied. */
  readonly #requests = new Map<ObjectKey, Set<string>>();
  /** Network objects that left the spec and are not known to be gone yet. */
  readonly #leaving = new Set<ObjectKey>();
  /** Parts whose last run failed as a whole: the next one observes everything. */
  readonly #distrusted = new Set<Part>();
  /** Objects that this process has brought about or compared at least once. */
  readonly #seen = new Set<ObjectKey>();
  readonly #rate: LookRate;
  #networkSeen = false;
  #closed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#rate = new LookRate(() => this.lookAtNetwork(), options.lookRate);
    const { network, metadata } = options.parts;
    this.#network = new BatchLane((keys) => this.#applyBatch(network, keys));
    this.#metadata = new BatchLane((keys) => this.#applyBatch(metadata, keys));
    this.#objects = new ObjectLane(
      OBJECTS_AT_ONCE,
      (key) => this.#applyObject(key),
      async (key) => {
        if (options.observeOnly?.() || !this.#mayRun(key)) return;
        await options.parts.storage.prepare?.({ spec: options.spec(), changed: new Set([key]) });
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
    return this.#latest;
  }

  /** Objects of the spec, or of the host, that changed. Resolves when they have been applied once. */
  async changed(keys: Iterable<ObjectKey>, requestIds: readonly string[] = []): Promise<void> {
    if (this.#closed) return;
    const spec = this.#options.spec();
    const all = [...keys];
    for (const key of all) this.#addRequests(key, requestIds);
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
      for (const key of leaving) if (isNetworkKey(key)) this.#leaving.add(key);
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

  async close(): Promise<void> {
    this.#closed = true;
    this.#rate.close();
    for (const { timer } of this.#failures.values()) clearTimeout(timer);
    for (const part of Object.values(this.#options.parts) as Part[]) await part.close?.();
  }

  async #applyBatch(part: Part, keys: ReadonlySet<ObjectKey> | null): Promise<void> {
    if (this.#closed || keys?.size === 0) return;
    const isNetwork = part === this.#options.parts.network;
    const spec = this.#options.spec();
    // after a failure that no object explains, nothing that was observed before is believed
    const changed = this.#distrusted.delete(part) ? null : keys;
    const requestIds = isNetwork ? this.#takeRequests(keys ?? []) : [];
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
      this.#log(part, changed, requestIds, began);
      if (isNetwork) this.#take(spec, keys ?? [], reports);
      else this.#takeMetadata(spec, changed, reports);
      // a run for everything tells of what is in the spec: ask for what is to go by name
      if (isNetwork && keys === null) await this.#applyBatch(part, this.#stillLeaving());
    } catch (error) {
      this.#options.log.error('part failed', { part: part.name, request_ids: requestIds, error });
      this.#distrusted.add(part);
      const affected = keys ?? networkKeys(spec);
      for (const key of affected) {
        const revision = spec[key]?.revision ?? null;
        if (isNetworkKey(key))
          this.#record({ key, revision, state: 'error', error: { message: messageOf(error) } });
      }
    }
  }

  #stillLeaving(): ReadonlySet<ObjectKey> {
    const spec = this.#options.spec();
    for (const key of this.#leaving) if (spec[key] !== undefined) this.#leaving.delete(key);
    return new Set(this.#leaving);
  }

  /** One server or volume: its files, then, once the network and its volumes are there, its domain. */
  async #applyObject(key: ObjectKey): Promise<void> {
    if (this.#closed) return;
    const { storage, compute } = this.#options.parts;
    const { drift, observeOnly } = this.#options;
    const spec = this.#options.spec();
    const changed = new Set([key]);
    if (observeOnly?.()) return await this.#observe(spec, [key], [storage, compute]);
    if (!this.#mayRun(key)) return;
    const except = this.#seen.has(key) ? null : this.#options.settled?.().data;
    this.#seen.add(key);
    const requestIds = this.#takeRequests(changed);
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
        this.#log(storage, changed, requestIds, began);
        this.#take(spec, changed, fromStorage);
        return;
      }
      await this.#network.idle();
      await Promise.all(volumesOf(spec, key).map((volume) => this.#objects.idle(volume)));
      part = compute;
      // what changed meanwhile is applied by the run that is queued behind this one
      const domain = drift?.look('compute', (one) => one === key);
      const reports = await compute.apply({ spec, changed, ...(domain ? { look: domain } : {}) });
      domain?.finish(reports);
      this.#log(compute, changed, requestIds, began);
      this.#take(spec, changed, reports);
    } catch (error) {
      this.#options.log.error('part failed', { part: part.name, key, request_ids: requestIds, error });
      this.#take(spec, changed, [
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
    const wanted = new Set(keys);
    let steps: readonly PlanStep[] = [];
    let failure: string | null = null;
    try {
      steps = (await Promise.all(parts.map((part) => part.plan(spec, wanted)))).flat();
    } catch (error) {
      failure = messageOf(error);
    }
    for (const key of wanted) {
      const object = spec[key];
      if (!object) continue;
      const own = steps.filter((step) => step.object === key);
      const observed = await this.#options.parts.compute.observeServer?.(spec, key).catch(() => null);
      if (!this.#closed) this.#record(observedReport(key, object, own, failure, observed ?? null));
    }
  }

  #mayRun(key: ObjectKey): boolean {
    const object = this.#options.spec()[key];
    // what was to be destroyed before the host went down still is
    if (!key.startsWith('server/') || object?.tombstone) return true;
    return this.#options.mayRun?.(key) ?? true;
  }

  /** Metadata reports only errors: what it does not name among its keys is well. */
  #takeMetadata(spec: Spec, keys: ReadonlySet<ObjectKey> | null, reports: readonly ObjectReport[]): void {
    const failed = new Map(reports.filter((r) => r.state === 'error').map((r) => [r.key, r]));
    for (const key of keys ?? [...this.#metadataErrors.keys()]) {
      if (failed.has(key) || !this.#metadataErrors.delete(key)) continue;
      // the object's own part says what it is without that error
      if (spec[key]) void this.#network.add([key]);
    }
    for (const [key, report] of failed) {
      const known = this.#latest.get(key);
      // where the object itself is not there, that is why: its own error says more
      const ownError = known?.state === 'error' && !this.#metadataErrors.has(key);
      if (ownError && known.revision === report.revision) continue;
      this.#metadataErrors.set(key, report);
      this.#record(report);
    }
  }

  #take(spec: Spec, keys: Iterable<ObjectKey>, reports: readonly ObjectReport[]): void {
    for (const report of reports) {
      const metadata = report.state === 'applied' ? this.#metadataErrors.get(report.key) : undefined;
      this.#record(metadata ?? report);
    }
    const reported = new Set(reports.map((report) => report.key));
    for (const key of keys) {
      if (spec[key] !== undefined || reported.has(key)) continue;
      // absence is no proof that a guest or its data was destroyed: only the part itself may say so
      if (!isNetworkKey(key)) {
        this.#latest.delete(key);
        this.#forgetFailure(key);
      } else {
        this.#record({ key, revision: null, state: 'gone' });
      }
    }
  }

  #record(report: ObjectReport): void {
    const before = this.#latest.get(report.key);
    if (report.state === 'gone') {
      this.#latest.delete(report.key);
      this.#leaving.delete(report.key);
    } else this.#latest.set(report.key, report);
    if (report.state === 'error') this.#retryLater(report.key);
    else this.#forgetFailure(report.key);
    if (report.state === 'gone' || JSON.stringify(before) !== JSON.stringify(report))
      this.#options.report(report);
    if (before?.state === 'error' && report.state === 'applied') this.#wakeWaiting(report.key);
  }

  /** A port or volume that has come right may be all that a server was waiting for. */
  #wakeWaiting(key: ObjectKey): void {
    if (key.startsWith('server/')) return;
    for (const report of this.#latest.values()) {
      if (report.state === 'error' && report.key.startsWith('server/')) void this.#objects.add(report.key);
    }
  }

  #retryLater(key: ObjectKey): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    clearTimeout(this.#failures.get(key)?.timer);
    const ms = Math.min((this.#options.retryMs ?? 1000) * 2 ** (count - 1), LAST_RETRY_MS);
    const timer = setTimeout(() => void this.changed([key]), ms);
    timer.unref();
    this.#failures.set(key, { count, timer });
  }

  #forgetFailure(key: ObjectKey): void {
    clearTimeout(this.#failures.get(key)?.timer);
    this.#failures.delete(key);
  }

  #addRequests(key: ObjectKey, requestIds: readonly string[]): void {
    if (requestIds.length === 0) return;
    const known = this.#requests.get(key) ?? new Set<string>();
    for (const id of requestIds) known.add(id);
    this.#requests.set(key, known);
  }

  #takeRequests(keys: Iterable<ObjectKey>): string[] {
    const ids = new Set<string>();
    for (const key of keys) {
      for (const id of this.#requests.get(key) ?? []) ids.add(id);
      this.#requests.delete(key);
    }
    return [...ids];
  }

  #log(part: Part, keys: ReadonlySet<ObjectKey> | null, requestIds: readonly string[], began: number): void {
    const level = requestIds.length > 0 ? 'info' : 'debug';
    const shown = keys === null ? 'all' : keys.size > 20 ? `${keys.size} objects` : [...keys];
    const ms = Math.round(performance.now() - began);
    this.#options.log[level]('applied', { part: part.name, keys: shown, request_ids: requestIds, ms });
  }
}

/** Everything but servers and volumes is the network part's. */
function isNetworkKey(key: ObjectKey): boolean {
  return !key.startsWith('server/') && !key.startsWith('volume/');
}

function networkKeys(spec: Spec): ObjectKey[] {
  return (Object.keys(spec) as ObjectKey[]).filter(isNetworkKey);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function volumesOf(spec: Spec, key: ObjectKey): ObjectKey[] {
  if (parseKey(key).kind !== 'server' || !spec[key]) return [];
  const { disks } = spec[key].body as ServerObject;
  return disks.filter((disk) => disk.volume_id !== null).map((disk): ObjectKey => `volume/${disk.volume_id}`);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
