import type { Logger } from '../protocol/log.js';
import type { Heartbeat, SpecRefusal } from '../protocol/messages.js';
import { readChangeCounter } from '../store/changes.js';
import { findHost, type HostRow } from '../store/hosts.js';
import {
  findIncarnation,
  isKnownIncarnation,
  noteIncarnation,
  readIncarnation,
  replaceIncarnation,
} from '../store/incarnation.js';
import type { Store, Tx } from '../store/store.js';

/** Runs a transaction of identity's, by which tokens end. */
export type IdentityWrite = <T>(body: (tx: Tx) => Promise<T>) => Promise<T>;

/**
 * Finds out that the database is older than what hosts hold: somebody restored a backup. Then acting on it could destroy or
 * start guests that the restored rows know nothing of, so a new incarnation begins: every host only observes until an operator
 * has looked and accepted it. Every token ends with it.
 */
export class Incarnations {
  readonly #store: Store;
  readonly #writeIdentity: IdentityWrite;
  readonly #log: Logger;
  readonly #known = new Set<string>();
  /** The database's counter is at least this. */
  #counter = 0;

  constructor(store: Store, log: Logger, writeIdentity: IdentityWrite) {
    this.#store = store;
    this.#writeIdentity = writeIdentity;
    this.#log = log;
  }

  /** The one in force. Read anew each time: another controller may have begun one. */
  async current(): Promise<string> {
    return await readIncarnation(this.#store.read);
  }

  /** What a spec that is worked out from now on is as of. */
  async asOf(): Promise<number> {
    this.#counter = Math.max(this.#counter, await readChangeCounter(this.#store));
    return this.#counter;
  }

  /** Begins a new incarnation, unless `before` is no longer in force. */
  async begin(before: string, reason: string): Promise<string | null> {
    return await this.#begin(before, reason, null);
  }

  /** Looks whether a heartbeat tells of something that this database has never had. */
  async examine(host: HostRow, beat: Heartbeat): Promise<void> {
    const { incarnation } = beat;
    if (incarnation === null || (await this.#isOfLostState(host, incarnation))) return;
    const evidence = await this.#evidence(host, beat);
    // one of an incarnation that has ended is known to be of another state
    if (evidence) await this.#restored(incarnation, host.name, evidence);
  }

  /**
   * A host has refused a spec because it holds a later one: was this database restored? Gives false when
   * another reading of the database will be refused just the same.
   */
  async refused(host: HostRow, incarnation: string, refusal: SpecRefusal): Promise<boolean> {
    const { as_of = 0, incarnation: held = incarnation } = refusal;
    if (held !== null && held !== incarnation) {
      return (await this.#isOfLostState(host, held)) || (await this.current()) !== incarnation;
    }
    if (await this.#isAhead(as_of))
      await this.#restored(incarnation, host.name, `it holds a specification as of change ${as_of}`);
    else if (await this.#isUnreserved(host, refusal.sequence))
      await this.#restored(incarnation, host.name, neverReserved(refusal.sequence));
    return true;
  }

  /** A host has shown a certificate that was issued (at that time) and that this database has never heard of. */
  async unknownCertificate(host: HostRow, issuedAt: Date): Promise<void> {
    const { id, created_at } = await findIncarnation(this.#store.read);
    // issued before this incarnation began: the operator knows already that something is missing
    if (created_at > issuedAt.toISOString()) return;
    await this.#restored(id, host.name, 'it has a certificate that was issued later than any on record');
  }

  async #evidence(host: HostRow, beat: Heartbeat): Promise<string | null> {
    if (beat.as_of !== undefined && (await this.#isAhead(beat.as_of)))
      return `it holds a specification as of change ${beat.as_of}`;
    return (await this.#isUnreserved(host, beat.sequence)) ? neverReserved(beat.sequence) : null;
  }

  /** Numbers are reserved before they are used. */
  async #isUnreserved(host: HostRow, sequence: number): Promise<boolean> {
    if (sequence <= host.sequence) return false;
    const now = await findHost(this.#store.read, host.id);
    return now !== undefined && sequence > now.sequence;
  }

  async #isAhead(asOf: number): Promise<boolean> {
    return asOf > this.#counter && asOf > (await this.asOf());
  }

  /** True when nobody here has heard of an incarnation until now: then the database of which it was is lost. */
  async #isOfLostState(host: HostRow, incarnation: string): Promise<boolean> {
    if (await this.#isKnown(incarnation)) return false;
    const evidence = `it holds a specification of incarnation ${incarnation}`;
    const before = await this.current();
    await this.#begin(before, restoredBy(host.name, evidence), incarnation);
    return true;
  }

  async #isKnown(incarnation: string): Promise<boolean> {
    if (this.#known.has(incarnation)) return true;
    if (!(await isKnownIncarnation(this.#store.read, incarnation))) return false;
    this.#known.add(incarnation);
    return true;
  }

  async #restored(before: string, hostName: string, evidence: string): Promise<void> {
    await this.#begin(before, restoredBy(hostName, evidence), null);
  }

  /** `lost` is noted in the same step, so that the other hosts that hold it prove nothing new. */
  async #begin(before: string, reason: string, lost: string | null): Promise<string | null> {
    const id = await this.#writeIdentity(async (tx) => {
      if (
        lost !== null &&
        !(await noteIncarnation(tx, lost, 'of a later state of this database, which was lost'))
      )
        return null;
      return await replaceIncarnation(tx, before, reason);
    });
    if (id !== null)
      this.#log.warn('a new incarnation begins: all hosts only observe, and every token ends', {
        reason,
        incarnation: id,
      });
    return id;
  }
}

function restoredBy(hostName: string, evidence: string): string {
  return `the database is older than what host ${hostName} has: ${evidence}`;
}

function neverReserved(sequence: number): string {
  return `it holds specification ${sequence}, a number that was never reserved`;
}
