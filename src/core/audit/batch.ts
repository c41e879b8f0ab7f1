import type { Logger } from '../../protocol/log.js';
import { type AuditRow, knownTargets, putAudits } from '../../store/audit.js';
import type { Reader, Store } from '../../store/store.js';
import { recordOf } from './record.js';

/** How long records gather that nobody waits for: each commit waits for the disk. */
const GATHER_MS = 500;
const AGAIN_MS = 5_000;
/** What is kept in memory while the database takes nothing. */
const MOST_WAITING = 10_000;

/** Stores records, those of many requests in one transaction. */
export class AuditBatch {
  readonly #store: Store;
  readonly #log: Logger;
  #waiting = new Map<string, AuditRow>();
  #timer: NodeJS.Timeout | null = null;
  #storing: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #lost = 0;
  #failing = false;
  #closed = false;

  constructor(store: Store, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** Stores a record soon. */
  add(row: AuditRow): void {
    if (!this.#waiting.has(row.id) && this.#waiting.size >= MOST_WAITING) {
      this.#lost++;
      return;
    }
    // as it is now: the request may go on to change it
    this.#waiting.set(row.id, { ...row });
    this.#later(GATHER_MS);
  }

  /** Stores a record, with all others that wait; resolves when it is stored. */
  async addNow(row: AuditRow): Promise<void> {
    this.#waiting.set(row.id, { ...row });
    await this.flush();
  }

  /** Stores what waits: those who ask while that is under way share the next transaction. Rejects when it cannot be stored. */
  async flush(): Promise<void> {
    if (!this.#storing) return await this.#begin();
    this.#next ??= this.#storing.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return await this.#next;
  }

  /** Stores what is left. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.flush();
  }

  #begin(): Promise<void> {
    this.#next = null;
    const storing = this.#store_().finally(() => {
      if (this.#storing === storing) this.#storing = null;
    });
    this.#storing = storing;
    return storing;
  }

  async #store_(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.size === 0 && this.#lost === 0) return;
    const rows = this.#waiting;
    this.#waiting = new Map();
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) {
      const row = recordOf({ action: 'audit:lost', outcome: 'failed', detail: { records: lost } });
      rows.set(row.id, row);
    }
    try {
      const named = await withKnownNames(this.#store.read, [...rows.values()]);
      await this.#store.tx((tx) => putAudits(tx, named), { unseen: true });
      this.#failing = false;
    } catch (error) {
      this.#keep(rows);
      if (!this.#failing) this.#log.error('audit records cannot be stored and wait in memory', { error });
      this.#failing = true;
      this.#later(AGAIN_MS);
      throw error;
    }
  }

  /** Puts back what could not be stored, unless there is a newer state of it. */
  #keep(rows: ReadonlyMap<string, AuditRow>): void {
    const newer = this.#waiting;
    this.#waiting = new Map(rows);
    for (const [id, row] of newer) {
      if (this.#waiting.has(id) || this.#waiting.size < MOST_WAITING) this.#waiting.set(id, row);
      else this.#lost++;
    }
  }

  #later(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.flush().catch(() => {});
    }, ms).unref();
  }
}

/** What a deletion is about is gone by then: its name is in the record of when it was made. */
async function withKnownNames(db: Reader, rows: AuditRow[]): Promise<AuditRow[]> {
  const nameless = rows.filter(
    ({ target_type, target_id, target_name, outcome }) =>
      target_type !== null && target_id !== null && target_name === null && outcome === 'succeeded',
  );
  const known = new Map(
    (await knownTargets(db, [...new Map(nameless.map((row) => [keyOf(row), row])).values()])).map((one) => [
      keyOf(one),
      one,
    ]),
  );
  return rows.map((row) => {
    const before = row.target_name === null ? known.get(keyOf(row)) : undefined;
    if (!before) return row;
    const { target_name } = before;
    return { ...row, target_name, target_project_id: row.target_project_id ?? before.target_project_id };
  });
}

function keyOf({ target_type, target_id }: Pick<AuditRow, 'target_type' | 'target_id'>): string {
  return `${target_type}/${target_id}`;
}
