import { parseKey, specObject } from '../protocol/keys.js';
import type { MessageOrder, ObjectReport } from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import { deleteTombstones, listTombstones } from '../store/hosts.js';
import { findReports, storeReports, takeMessage } from '../store/reports.js';
import type { Store, Tx } from '../store/store.js';
import { GatheredWrites } from './gathered-writes.js';
import { noteReports } from './trail.js';

/**
 * Called in the transaction that stores reports, with those that differ from what was known. A host may report about any key:
 * check that it owns the object before believing it. Like every transaction body, it may be run again.
 */
export type ReportListener = (tx: Tx, hostId: string, reports: readonly ObjectReport[]) => Promise<void>;

/** Called in the transaction in which a host reports that what it was asked to destroy is gone. */
export type GoneListener = (tx: Tx, hostId: string, key: ObjectKey) => Promise<void>;

/** Those of the keys that a host's spec names. */
export type NamedKeys = (hostId: string, keys: readonly ObjectKey[]) => Promise<ReadonlySet<ObjectKey>>;

/** Takes what hosts report of their own objects; writes only what changed. */
export class Reports {
  readonly #store: Store;
  readonly #named: NamedKeys;
  readonly #writes: GatheredWrites;
  readonly reportListeners: ReportListener[] = [];
  readonly goneListeners: GoneListener[] = [];
  /** Reports of one host are stored in the order they came. */
  readonly #tails = new Map<string, Promise<void>>();
  /**
   * Where one controller takes all messages: the last one of each host that said nothing new. It was not stored, since after a restart
   * every host sends one, and each commit waits for the disk.
   */
  readonly #unstored = new Map<string, MessageOrder>();

  constructor(store: Store, named: NamedKeys) {
    this.#store = store;
    this.#named = named;
    this.#writes = new GatheredWrites(store);
  }

  /** Resolves when they are stored: true; false when a newer message of the same agent was stored already, by whichever controller. */
  take(hostId: string, reports: readonly ObjectReport[], order?: MessageOrder): Promise<boolean> {
    if (reports.length === 0) return Promise.resolve(true);
    const before = this.#tails.get(hostId) ?? Promise.resolve();
    const result = before.then(async () => {
      // whatever it says was in the message that overtook it, or is out of date
      return await this.#record(hostId, latestPerKey(reports), order);
    });
    const tail = result.then(
      () => {},
      () => {},
    );
    this.#tails.set(hostId, tail);
    void tail.then(() => {
      if (this.#tails.get(hostId) === tail) this.#tails.delete(hostId);
    });
    return result;
  }

  /** Resolves when what was taken is stored. */
  async close(): Promise<void> {
    await this.#writes.close();
  }

  async #record(hostId: string, reports: readonly ObjectReport[], order?: MessageOrder): Promise<boolean> {
    const stored = await findReports(this.#store.read, hostId, keysOf(reports));
    if (this.#store.dialect === 'sqlite' && order) {
      const last = this.#unstored.get(hostId);
      if (last && last.run === order.run && last.number > order.number) return false;
      if (saysTheSame(stored, reports)) {
        this.#unstored.set(hostId, order);
        return true;
      }
    }
    const strangers = await this.#strangers(hostId, reports, stored);
    return await this.#writes.run(async (tx) => {
      // also when it brings nothing new: else an older one that another controller still holds would count as the last word
      if (order && !(await takeMessage(tx, hostId, order))) return false;
      const answered = await answeredTombstones(tx, hostId, reports);
      const known = await findReports(tx, hostId, keysOf(reports));
      const before = new Map(known.map((report) => [report.key, report]));
      const news = reports.filter((report) => {
        const { key, state } = report;
        if (state === 'gone') return answered.includes(key) || (before.has(key) && !isData(key));
        const last = before.get(key);
        return last ? sameText(last) !== sameText(report) : !strangers.has(key);
      });
      if (news.length === 0) return true;
      await storeReports(tx, hostId, news);
      noteReports(tx, hostId, news, before);
      const keys = answered.length ? await deleteTombstones(tx, hostId, answered) : [];
      for (const listener of this.reportListeners) await listener(tx, hostId, news);
      for (const key of keys) for (const listener of this.goneListeners) await listener(tx, hostId, key);
      return true;
    });
  }

  /** Keys that are not the host's: it is not believed about objects that were never its own, what it says of them changes nothing. */
  async #strangers(
    hostId: string,
    reports: readonly ObjectReport[],
    known: readonly ObjectReport[],
  ): Promise<ReadonlySet<ObjectKey>> {
    const before = new Set(known.map(({ key }) => key));
    const fresh = keysOf(reports.filter(({ key, state }) => state !== 'gone' && !before.has(key)));
    if (fresh.length === 0) return new Set();
    const named = await this.#named(hostId, fresh);
    return new Set(fresh.filter((key) => !named.has(key)));
  }
}

function saysTheSame(stored: readonly ObjectReport[], reports: readonly ObjectReport[]): boolean {
  const before = new Map(stored.map((report) => [report.key, sameText(report)]));
  return reports.every((report) => report.state !== 'gone' && before.get(report.key) === sameText(report));
}

function keysOf(reports: readonly ObjectReport[]): ObjectKey[] {
  return reports.map(({ key }) => key);
}

/** Only for a tombstone does a host give these up; one without is of a tombstone that was answered before, or of another stay. */
function isData(key: ObjectKey): boolean {
  const { kind } = parseKey(key);
  return kind === 'server' || kind === 'volume';
}

/**
 * Keys of the tombstones that the reports answer. An old report that comes late must not count for a tombstone that was written
 * since: an object may have come to the same host twice.
 */
async function answeredTombstones(
  tx: Tx,
  hostId: string,
  reports: readonly ObjectReport[],
): Promise<ObjectKey[]> {
  const gone = new Map(reports.filter((r) => r.state === 'gone').map((r) => [r.key, r.revision]));
  if (gone.size === 0) return [];
  const tombstones = (await listTombstones(tx, hostId)).filter(({ object_key }) => gone.has(object_key));
  return tombstones
    .filter(({ object_key, body }) => gone.get(object_key) === specObject(JSON.parse(body), true).revision)
    .map(({ object_key }) => object_key);
}

function latestPerKey(reports: readonly ObjectReport[]): readonly ObjectReport[] {
  return [...new Map(reports.map((report) => [report.key, report])).values()];
}

function sameText({ revision, state, error, observed }: ObjectReport): string {
  return JSON.stringify([revision, state, error ?? null, observed ?? null]);
}
