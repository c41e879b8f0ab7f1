import type { Logger } from '../src/protocol/log.js';
import type { ObjectReport } from '../src/protocol/messages.js';
import type { ObjectKey } from '../src/protocol/objects.js';

const COALESCE_MS = 5;
const RETRY_MS = 1_000;

/** Sends reports at once, and keeps each until the controller has acknowledged it or a newer one replaces it. */
export class Reporter {
  readonly #send: (reports: readonly ObjectReport[]) => Promise<void>;
  readonly #log: Logger;
  readonly #pending = new Map<ObjectKey, ObjectReport>();
  #timer: NodeJS.Timeout | null = null;
  #sending = false;
  #failing = false;
  #closed = false;

  constructor(send: (reports: readonly ObjectReport[]) => Promise<void>, log: Logger) {
    this.#send = send;
    this.#log = log;
  }

  add(report: ObjectReport): void {
    this.#pending.set(report.key, report);
    if (!this.#failing) this.#schedule(COALESCE_MS);
  }

  /** What a heartbeat takes along; `acknowledge` it when the heartbeat was answered. */
  pending(): readonly ObjectReport[] {
    return [...this.#pending.values()];
  }

  acknowledge(reports: readonly ObjectReport[]): void {
    // whoever acknowledges has been reached, also by a heartbeat
    this.#failing = false;
    // a report that was replaced meanwhile still has to go
    for (const report of reports)
      if (this.#pending.get(report.key) === report) this.#pending.delete(report.key);
    if (this.#pending.size > 0) this.#schedule(COALESCE_MS);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #schedule(ms: number): void {
    if (this.#timer || this.#sending || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#flush();
    }, ms);
    this.#timer.unref();
  }

  async #flush(): Promise<void> {
    const reports = this.pending();
    if (reports.length === 0) return;
    this.#sending = true;
    try {
      await this.#send(reports);
      this.acknowledge(reports);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        this.#log.warn('reports not taken, keeping them', { reports: reports.length, error });
      this.#failing = true;
    } finally {
      this.#sending = false;
    }
    if (this.#pending.size > 0) this.#schedule(this.#failing ? RETRY_MS : COALESCE_MS);
  }
}
