import type { ObjectReport } from '../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../src/protocol/objects.js';
import { isNetworkKey } from './spec-keys.js';

export interface OutcomesOptions {
  /** An outcome that differs from the one before. */
  readonly report: (report: ObjectReport) => void;
  readonly failed: (key: ObjectKey) => void;
  /** It is well, or gone: nothing has to be tried again. */
  readonly settled: (key: ObjectKey) => void;
  /** It was in error and has come right. */
  readonly recovered: (key: ObjectKey) => void;
  /** Its own part has to say again what it is. */
  readonly askAgain: (key: ObjectKey) => void;
}

/** What became of each object, from the reports of the parts. */
export class Outcomes {
  readonly #options: OutcomesOptions;
  readonly #latest = new Map<ObjectKey, ObjectReport>();
  /** What is wrong with the metadata service of a router or DHCP server, whose own part may be content. */
  readonly #metadataErrors = new Map<ObjectKey, ObjectReport>();
  /** Network objects that left the spec and are not known to be gone yet. */
  readonly #leaving = new Set<ObjectKey>();

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  /** Latest report of each object; what is gone has none. */
  get latest(): ReadonlyMap<ObjectKey, ObjectReport> {
    return this.#latest;
  }

  /** A network object has left the spec. */
  leaves(key: ObjectKey): void {
    this.#leaving.add(key);
  }

  /** Network objects that left the spec and were not reported gone. */
  stillLeaving(spec: Spec): ReadonlySet<ObjectKey> {
    for (const key of this.#leaving) if (spec[key] !== undefined) this.#leaving.delete(key);
    return new Set(this.#leaving);
  }

  /** Reports of network, storage or compute about the keys they were called for. */
  take(spec: Spec, keys: Iterable<ObjectKey>, reports: readonly ObjectReport[]): void {
    for (const report of reports) {
      const metadata = report.state === 'applied' ? this.#metadataErrors.get(report.key) : undefined;
      this.record(metadata ?? report);
    }
    const reported = new Set(reports.map((report) => report.key));
    for (const key of keys) {
      if (spec[key] !== undefined || reported.has(key)) continue;
      // absence is no proof that a guest or its data was destroyed: only the part itself may say so
      if (!isNetworkKey(key)) {
        this.#latest.delete(key);
        this.#options.settled(key);
      } else {
        this.record({ key, revision: null, state: 'gone' });
      }
    }
  }

  /** Metadata reports only errors: what it does not name among its keys is well. */
  takeMetadata(spec: Spec, keys: ReadonlySet<ObjectKey> | null, reports: readonly ObjectReport[]): void {
    const failed = new Map(reports.filter((r) => r.state === 'error').map((r) => [r.key, r]));
    for (const key of keys ?? [...this.#metadataErrors.keys()]) {
      if (failed.has(key) || !this.#metadataErrors.delete(key)) continue;
      // the object's own part says what it is without that error
      if (spec[key]) this.#options.askAgain(key);
    }
    for (const [key, report] of failed) {
      const known = this.#latest.get(key);
      // where the object itself is not there, that is why: its own error says more
      const ownError = known?.state === 'error' && !this.#metadataErrors.has(key);
      if (ownError && known.revision === report.revision) continue;
      this.#metadataErrors.set(key, report);
      this.record(report);
    }
  }

  record(report: ObjectReport): void {
    const { key, state } = report;
    const before = this.#latest.get(key);
    if (state === 'gone') {
      this.#latest.delete(key);
      this.#leaving.delete(key);
    } else {
      this.#latest.set(key, report);
    }
    if (state === 'error') this.#options.failed(key);
    else this.#options.settled(key);
    if (state === 'gone' || JSON.stringify(before) !== JSON.stringify(report)) this.#options.report(report);
    if (before?.state === 'error' && state === 'applied') this.#options.recovered(key);
  }
}
