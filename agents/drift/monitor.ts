import type { Logger } from '../../src/protocol/log.js';
import type { Host, Pipe } from '../host/host.js';

export interface MonitorOptions {
  readonly host: Host;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
  readonly command: string;
  readonly args: readonly string[];
  readonly onLine: (line: string) => void;
  /** Lines may have been missed: because there were too many, or the program ended. */
  readonly onGap: () => void;
  /** Lines of others that are read in a second; more end the program for a while. */
  readonly linesPerSecond?: number;
  /** Milliseconds for which a flood is not listened to; doubles while it lasts. */
  readonly pauseMs?: number;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/**
 * A program that prints a line per event (`ip monitor`), for as long as the agent runs. Floods cost nothing: whoever makes more events
 * than can be looked at is not listened to for a while, and the host is looked at once after it.
 */
export class Monitor {
  readonly #options: MonitorOptions;
  #pipe: Pipe | null = null;
  #timer: NodeJS.Timeout | null = null;
  #openedAt = 0;
  #retryMs: number = FIRST_RETRY_MS;
  #second = 0;
  #lines = 0;
  #closed = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#open(false);
  }

  /** Lines that follow from the agent's own changes are not counted. */
  forgive(): void {
    this.#lines = 0;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#pipe?.close();
    this.#pipe = null;
  }

  #open(again: boolean): void {
    const { host, command, args, onGap } = this.#options;
    const pipe = host.openPipe(command, args);
    this.#pipe = pipe;
    this.#openedAt = performance.now();
    pipe.onLine((line) => {
      if (this.#pipe === pipe) this.#take(line);
    });
    pipe.onExit((code) => {
      if (this.#pipe !== pipe || this.#closed) return;
      this.#options.log.debug('monitor ended', { command: [command, ...args].join(' '), exit_code: code });
      this.#reopenIn(FIRST_RETRY_MS);
    });
    if (again) onGap();
  }

  #take(line: string): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    if (++this.#lines > (this.#options.linesPerSecond ?? 500)) {
      const { command, args, log } = this.#options;
      log.warn('too many events on this host to look at each', { command: [command, ...args].join(' ') });
      this.#reopenIn(this.#options.pauseMs ?? 5_000);
      return;
    }
    this.#options.onLine(line);
  }

  #reopenIn(ms: number): void {
    this.#pipe?.close();
    this.#pipe = null;
    // one that worked for long is opened again soon; one that ends at once is not worth a process every second
    const lasted = performance.now() - this.#openedAt > 2 * LAST_RETRY_MS;
    this.#retryMs = lasted ? ms : Math.min(Math.max(ms, this.#retryMs * 2), LAST_RETRY_MS);
    this.#timer = setTimeout(() => this.#open(true), this.#retryMs);
    this.#timer.unref();
  }
}
