import type { Logger } from '../log.js';
import type { KeyTable, Section, ValuesOf } from './key.js';
import { ConfigInvalid, describeProblem } from './problem.js';
import { shownValue } from './render.js';

export interface ReloadOptions<T extends KeyTable> {
  readonly file: string;
  readonly section: Section<T>;
  /** Reads the file; throws with what is wrong. */
  readonly load: () => ValuesOf<T>;
  /** What the program holds and reads from: values that can be changed while it runs are replaced in it. */
  readonly live: ValuesOf<T>;
  readonly log: Logger;
  /** May refuse, by throwing, before anything has changed. */
  readonly prepare?: (next: ValuesOf<T>) => void;
  /** After the values have been replaced, also when none has: for what is not read at each use, and files that they name. */
  readonly apply?: (changed: ReadonlySet<keyof T>) => Promise<void> | void;
}

/**
 * Brings a changed configuration file into force while the program runs: all that can be, at once, or, when the file is not
 * right, nothing. What needs a restart is named in the log.
 */
export class Reload<T extends KeyTable> {
  readonly #options: ReloadOptions<T>;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ReloadOptions<T>) {
    this.#options = options;
  }

  /** Resolves when what was asked for now has been brought about or refused; one after the other. Never rejects. */
  request(): Promise<void> {
    this.#running = this.#running.then(() => this.#run());
    return this.#running;
  }

  async #run(): Promise<void> {
    const { file, live, section, log, prepare, apply } = this.#options;
    let next: ValuesOf<T>;
    try {
      next = this.#options.load();
      prepare?.(next);
    } catch (error) {
      const problems = error instanceof ConfigInvalid ? error.problems.map(describeProblem) : [String(error)];
      log.error('configuration not reloaded, the old settings stay', { file, problems });
      return;
    }
    const names = Object.keys(section.keys) as (keyof T & string)[];
    const different = names.filter((name) => JSON.stringify(next[name]) !== JSON.stringify(live[name]));
    const changed = different.filter((name) => section.keys[name]?.reload);
    const waiting = different.filter((name) => !section.keys[name]?.reload);
    for (const name of changed) (live as Record<keyof T, unknown>)[name] = next[name];
    try {
      await apply?.(new Set(changed));
    } catch (error) {
      log.error('not all of the new configuration could be brought into force', { file, error });
    }
    const values = Object.fromEntries(
      changed.map((name) => [name, shownValue(section.keys[name]!, live[name])]),
    );
    log.info('configuration reloaded', { file, changed: values });
    if (waiting.length > 0)
      log.warn('changes of the configuration wait for a restart', { file, keys: waiting });
  }
}
