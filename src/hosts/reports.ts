import { specObject } from '../protocol/keys.js';
import type { MessageOrder, ObjectReport } from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import { deleteTombstones, listTombstones } from '../store/hosts.js';
import { findReports, storeReports } from '../store/reports.js';
import type { Store, Tx } from '../store/store.js';

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
  readonly reportListeners: ReportListener[] = [];
  readonly goneListeners: GoneListener[] = [];
  /** The newest message of each host that was taken. */
  readonly #taken = new Map<string, MessageOrder>();
  /** Reports of one host are stored in the order they came. */
  readonly #tails = new Map<string, Promise<void>>();

  constructor(store: Store, named: NamedKeys) {
    this.#store = store;
    this.#named = named;
  }

  /** Resolves when they are stored. */
  take(hostId: string, reports: readonly ObjectReport[], order?: MessageOrder): Promise<void> {
    if (reports.length === 0) return Promise.resolve();
    const before = this.#tails.get(hostId) ?? Promise.resolve();
    const result = before.then(async () => {
      // whatever it says was in the message that overtook it, or is out of date
      if (order && this.#isOvertaken(hostId, order)) return;
      await this.#record(hostId, latestPerKey(reports));
      if (order) this.#taken.set(hostId, order);
    });
    const tail = result.catch(() => {});
    this.#tails.set(hostId, tail);
    void tail.then(() => {
      if (this.#tails.get(hostId) === tail) this.#tails.delete(hostId);
    });
    return result;
  }

  #isOvertaken(hostId: string, { run, number }: MessageOrder): boolean {
    const last = this.#taken.get(hostId);
    return last?.run === run && number < last.number;
  }

  async #record(hostId: string, reports: readonly ObjectReport[]): Promise<void> {
    const news = await this.#news(hostId, reports);
    if (news.length === 0) return;
    await this.#store.tx(async (tx) => {
      await storeReports(tx, hostId, news);
      const answered = await answeredTombstones(tx, hostId, news);
      const keys = answered.length ? await deleteTombstones(tx, hostId, answered) : [];
      for (const listener of this.reportListeners) await listener(tx, hostId, news);
      for (const key of keys) for (const listener of this.goneListeners) await listener(tx, hostId, key);
    });
  }

  async #news(hostId: string, reports: readonly ObjectReport[]): Promise<ObjectReport[]> {
    const db = this.#store.read;
    const known = new Map(
      (
        await findReports(
          db,
          hostId,
          reports.map((r) => r.key),
        )
      ).map((r) => [r.key, r]),
    );
    const gone = reports.some((r) => r.state === 'gone' && !known.has(r.key));
    const awaited = new Set(gone ? (await listTombstones(db, hostId)).map((t) => t.object_key) : []);
    const strange = reports.filter((r) => r.state !== 'gone' && !known.has(r.key)).map((r) => r.key);
    // a host is not believed about objects that were never its own: what it says of them changes nothing
    const named = strange.length > 0 ? await this.#named(hostId, strange) : new Set<ObjectKey>();
    return reports.filter((report) => {
      const before = known.get(report.key);
      if (report.state === 'gone') return before !== undefined || awaited.has(report.key);
      return before ? sameText(before) !== sameText(report) : named.has(report.key);
    });
  }
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
