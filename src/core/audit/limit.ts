import type { AuditRow } from '../../store/audit.js';
import { networkOf } from './address.js';
import { emptyRow } from './record.js';

const WINDOW_MS = 60_000;
/** In each window one by one: of the same kind, of one sender, and of all. */
const OF_A_KIND = 20;
const OF_A_SENDER = 120;
const OF_ALL = 1_200;
/** Beyond these, records that stand for several. */
const MOST_TOGETHER = 200;

/**
 * Decides what is recorded of requests that change nothing, such as failed logins, which anybody can send without end: some of
 * each kind and sender one by one, the rest of a minute counted in one record for each kind.
 */
export class AuditLimit {
  readonly #now: () => number;
  #until = 0;
  #all = 0;
  #counts = new Map<string, number>();
  #together = new Map<string, AuditRow>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The record to store: the given one, or that which it is counted in. */
  admit(row: AuditRow): AuditRow {
    const now = this.#now();
    if (now >= this.#until) this.#begin(now);
    const sender = row.token_audit_id === null ? networkOf(row.address) : `user ${row.user_id}`;
    const kind = [sender, row.user_id, row.action, row.outcome, row.status].join('|');
    if (this.#all < OF_ALL) {
      const [ofKind, ofSender] = [this.#counts.get(kind) ?? 0, this.#counts.get(sender) ?? 0];
      if (ofKind < OF_A_KIND && ofSender < OF_A_SENDER) {
        this.#counts.set(kind, ofKind + 1);
        this.#counts.set(sender, ofSender + 1);
        this.#all++;
        return row;
      }
    }
    return this.#count(kind, row);
  }

  #begin(now: number): void {
    this.#until = now + WINDOW_MS;
    this.#all = 0;
    this.#counts = new Map();
    this.#together = new Map();
  }

  #count(kind: string, row: AuditRow): AuditRow {
    const known = this.#together.get(kind);
    const full = !known && this.#together.size >= MOST_TOGETHER;
    const key = full ? `all ${row.outcome}` : kind;
    const before = full ? this.#together.get(key) : known;
    if (before) {
      before.repeats++;
      before.last_at = row.at;
      return before;
    }
    const first: AuditRow = full
      ? ofEverybody(row)
      : { ...row, path: null, target_id: null, target_name: null };
    this.#together.set(key, first);
    return first;
  }
}

/** A record that stands for requests of too many kinds and senders to tell apart. */
function ofEverybody({ at, service, outcome }: AuditRow): AuditRow {
  return {
    ...emptyRow(),
    at,
    last_at: at,
    service,
    action: 'audit:many',
    outcome,
    changed: 0,
    reason: 'more requests, of more senders, than are recorded one by one',
  };
}
