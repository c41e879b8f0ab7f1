import type { Logger } from '../../src/protocol/log.js';
import type { DriftEvent } from '../../src/protocol/messages.js';
import type { ObjectKey } from '../../src/protocol/objects.js';
import type { Settled } from '../reconciler.js';
import type { StateFiles } from '../spec-store.js';
import type { DriftRegister } from './register.js';

interface Kept {
  /** Spec that had been brought about, in which boot of the host, and what of it had failed; null: none. */
  readonly settled: {
    readonly digest: string;
    readonly boot_id: string;
    readonly failed: readonly ObjectKey[];
  } | null;
  readonly standing: readonly (readonly [string, DriftEvent])[];
  readonly healed: readonly DriftEvent[];
}

const EMPTY: Kept = { settled: null, standing: [], healed: [] };
const SAVE_MS = 1_000;

/**
 * What an agent's successor has to know about drift: what stands (its first sight, and that it was left), what the controller was
 * not yet told, and whether the spec had been brought about, so that what is found changed at its start was changed by others.
 */
export class DriftMemory {
  readonly #files: StateFiles;
  readonly #path: string;
  readonly #bootId: string;
  readonly #log: Logger;
  #register: DriftRegister | null = null;
  #settled: Kept['settled'] = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(files: StateFiles, stateDir: string, bootId: string, log: Logger) {
    this.#files = files;
    this.#path = `${stateDir}/drift.json`;
    this.#bootId = bootId;
    this.#log = log;
  }

  /** Reads what the process before this one left, into the register; gives what it had brought about of this spec. */
  async load(register: DriftRegister, digest: string): Promise<Settled> {
    this.#register = register;
    let kept = EMPTY;
    try {
      const text = await this.#files.readFileIfExists(this.#path);
      if (text !== null) kept = { ...EMPTY, ...(JSON.parse(text) as Partial<Kept>) };
      register.restore(kept);
    } catch (error) {
      this.#log.warn('what is known of drift cannot be read, beginning anew', { error });
      kept = EMPTY;
    }
    this.#settled = kept.settled;
    const data = kept.settled?.digest === digest ? new Set(kept.settled.failed) : null;
    return { data, plumbing: kept.settled?.boot_id === this.#bootId ? data : null };
  }

  /** Everything of this spec has been brought about, or has failed. */
  settle(digest: string, failed: readonly ObjectKey[]): void {
    const settled = { digest, boot_id: this.#bootId, failed };
    if (JSON.stringify(settled) === JSON.stringify(this.#settled)) return;
    this.#settled = settled;
    this.save();
  }

  /** Writes soon: a few changes at once are one. */
  save(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#writing = this.#writing.then(() => this.#write());
    }, SAVE_MS);
    this.#timer.unref();
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = null;
      this.#writing = this.#writing.then(() => this.#write());
    }
    await this.#writing;
  }

  async #write(): Promise<void> {
    if (!this.#register) return;
    const kept: Kept = { settled: this.#settled, ...this.#register.snapshot() };
    try {
      await this.#files.writeFile(this.#path, `${JSON.stringify(kept)}\n`, 0o600);
    } catch (error) {
      this.#log.warn('what is known of drift cannot be kept', { error });
    }
  }
}
