import type { Logger } from '../../protocol/log.js';
import { carryingAudit, putAudits, servedRequest } from '../../store/audit.js';
import type { Store, Tx } from '../../store/store.js';
import { AuditBatch } from './batch.js';
import { findClaimed, type UserClaim } from './claim.js';
import { AuditLimit } from './limit.js';
import { type AskedRequest, type AuditNote, RequestRecord, recordOf } from './record.js';

/** Something that happened without a request: the policy file was read again, a lockout has ended. */
export interface AuditEvent extends AuditNote {
  /** Such as `maru:policy:reload`. */
  readonly action: string;
  readonly outcome?: 'succeeded' | 'refused' | 'failed';
}

interface AuditParts {
  readonly store: Store;
  readonly log: Logger;
  /** Milliseconds since 1970: what is the same minute. */
  readonly now?: () => number;
}

/**
 * Who did what. The API records every request that may change something by itself; what knows more about the request that is served
 * adds it with `note`, and what happens without any request is recorded with `record`. Neither may be given secrets.
 */
export class Audit {
  readonly #batch: AuditBatch;
  readonly #refused: AuditLimit;
  /** Logins, and what was answered well and found nothing to change. */
  readonly #idle: AuditLimit;
  readonly #looking = new Set<Promise<void>>();
  readonly #store: Store;

  constructor({ store, log, now = Date.now }: AuditParts) {
    this.#refused = new AuditLimit(now);
    this.#idle = new AuditLimit(now);
    this.#store = store;
    this.#batch = new AuditBatch(store, log);
  }

  /**
   * Adds to the record of the request that is served: what it is about, whom it claims to come from, why it was refused, and details
   * (small, no secrets; values of keys that are secret by their name are masked). Later notes win. Nothing happens outside of a request that is recorded.
   */
  note(more: AuditNote): void {
    const request = servedRequest();
    if (request instanceof RequestRecord) request.note(more);
  }

  /** Records what no request did: in the transaction when one is given, else soon. */
  async record(event: AuditEvent, tx?: Tx): Promise<void> {
    const row = recordOf(event);
    if (tx) await putAudits(tx, [row]);
    else this.#batch.add(row);
  }

  /** Begins the record of a request that may change something. */
  begin(asked: AskedRequest): RequestRecord {
    return new RequestRecord(asked);
  }

  /** Runs the handler of a request: its first transaction that commits writes the record, if it is one of somebody with a right to it. */
  async serving<T>(record: RequestRecord, body: () => Promise<T>): Promise<T> {
    return await carryingAudit(record, body);
  }

  /**
   * Records how a request ended, before it is answered. Resolves at once, but for a request that has changed something in a transaction
   * that could not carry its record: then when that is stored.
   */
  async end(record: RequestRecord): Promise<void> {
    const { row } = record;
    const succeeded = row.outcome === 'succeeded';
    if (record.stored) return this.#batch.add(row);
    if (record.changed && !record.login && (succeeded || !record.unauthenticated)) {
      return await this.#batch.addNow(row);
    }
    if (record.claim && row.user_id === null) return this.#endClaimed(record, record.claim);
    // what changes nothing can be sent without end
    this.#batch.add((succeeded ? this.#idle : this.#refused).admit(row));
  }

  /** Finds out whom a failed login named; nobody waits for it, so that answers take the same time for users that do not exist. */
  #endClaimed(record: RequestRecord, claim: UserClaim): void {
    const looking = findClaimed(this.#store.read, claim)
      .then((user) => (user ? record.note({ user }) : record.note({ detail: { user: 'unknown' } })))
      // then it is recorded without
      .catch(() => {})
      .then(() => {
        this.#looking.delete(looking);
        this.#batch.add(this.#refused.admit(record.row));
      });
    this.#looking.add(looking);
  }

  /** Stores what has been gathered. Rejects when it cannot. */
  async flush(): Promise<void> {
    await Promise.all(this.#looking);
    await this.#batch.flush();
  }

  /** Stores what is left. */
  async close(): Promise<void> {
    await Promise.all(this.#looking);
    await this.#batch.close();
  }
}
