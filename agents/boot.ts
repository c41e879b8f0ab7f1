import type { Logger } from '../src/protocol/log.js';
import type { ServerObject, Spec, SpecObject } from '../src/protocol/objects.js';
import type { StateFiles } from './spec-store.js';

export interface BootGateOptions {
  readonly files: StateFiles;
  readonly stateDir: string;
  readonly bootId: string;
  /** Milliseconds without an answer of the controller after which guests go by the spec on disk. */
  readonly waitMs: number;
  readonly log: Logger;
  /** Guests that waited may run now. */
  readonly onOpen: () => void;
}

/**
 * - open: nothing is to be asked, or the controller has confirmed or changed the spec
 * - waiting: the host was booted; guests wait for the controller's word
 * - alone: the controller cannot be asked; guests whose disks are all here go by the spec on disk
 */
export type BootState = 'open' | 'waiting' | 'alone';

/**
 * After a boot of the host, keeps guests from starting until the controller was asked: meanwhile they may have been moved to
 * another host, or deleted. Networks, rules, DHCP and metadata do not wait.
 */
export class BootGate {
  readonly #options: BootGateOptions;
  #state: BootState = 'open';
  #timer: NodeJS.Timeout | null = null;

  constructor(options: BootGateOptions) {
    this.#options = options;
  }

  get state(): BootState {
    return this.#state;
  }

  /** True while the controller's word is still missing. */
  get awaiting(): boolean {
    return this.#state !== 'open';
  }

  /** Compares this boot with the one in which guests were last let run; `hasSpec`: there is a spec whose guests could be started. */
  async begin(hasSpec: boolean): Promise<void> {
    const { files, bootId, log } = this.#options;
    const last = (await files.readFileIfExists(this.#path))?.trim() ?? null;
    if (last === bootId) return;
    if (!hasSpec) return await this.#record();
    log.info('the host was booted: guests wait for the controller', { boot_id: bootId, last_boot_id: last });
    this.#state = 'waiting';
    this.#wait();
  }

  /** The controller was heard, though it has not confirmed anything yet: it is waited for anew. */
  answered(): void {
    if (this.#state === 'waiting') this.#wait();
  }

  /** What the host holds is what the controller wants now. */
  async confirmed(): Promise<void> {
    if (this.#state === 'open') return;
    this.#options.log.info('the controller has confirmed the spec: guests may run', { after: this.#state });
    this.#state = 'open';
    this.close();
    await this.#record();
    this.#options.onOpen();
  }

  /** Whether a guest of the spec may be started. */
  allows(server: ServerObject, spec: Spec): boolean {
    if (this.#state === 'alone') return hasOnlyLocalDisks(server, spec);
    return this.#state === 'open';
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  get #path(): string {
    return `${this.#options.stateDir}/boot`;
  }

  #wait(): void {
    this.close();
    this.#timer = setTimeout(() => {
      const { log, waitMs, onOpen } = this.#options;
      log.warn('the controller cannot be asked: guests with local disks are started from the spec on disk', {
        waited_ms: waitMs,
      });
      this.#state = 'alone';
      // not recorded: a process that follows in this boot finds its guests running, and asks again
      onOpen();
    }, this.#options.waitMs);
    this.#timer.unref();
  }

  async #record(): Promise<void> {
    try {
      await this.#options.files.writeFile(this.#path, `${this.#options.bootId}\n`, 0o600);
    } catch (error) {
      // asked again by the next process: that costs time and nothing else
      this.#options.log.warn('the boot could not be noted', { error });
    }
  }
}

/** Whether all that a guest runs from is on this host: nobody else can have it open. */
export function hasOnlyLocalDisks(server: ServerObject, spec: Spec): boolean {
  return server.disks.every((disk) => {
    if (disk.role !== 'volume') return true;
    const volume = spec[`volume/${disk.volume_id}`] as SpecObject<'volume'> | undefined;
    return volume !== undefined && !volume.tombstone;
  });
}
