import { writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import SqliteDatabase from 'better-sqlite3';

/** How often a statement ran, and its milliseconds altogether. */
export interface StatementUse {
  count: number;
  ms: number;
}

/** Texts kept at most: lists of values of every length make new ones. */
const MOST_TEXTS = 5000;

/** The statements of this process's SQLite databases by their text, since it began; other databases are not seen. */
export class StatementCounter {
  readonly uses = new Map<string, StatementUse>();

  constructor() {
    const scratch = new SqliteDatabase(':memory:');
    const prototype = Object.getPrototypeOf(scratch.prepare('select 1')) as Record<string, unknown>;
    scratch.close();
    const note = (text: string, ms: number) => this.#note(text, ms);
    for (const name of ['all', 'run'] as const) {
      const original = prototype[name] as (this: { source: string }, ...values: unknown[]) => unknown;
      prototype[name] = function counted(this: { source: string }, ...values: unknown[]) {
        const began = performance.now();
        try {
          return original.apply(this, values);
        } finally {
          note(this.source, performance.now() - began);
        }
      };
    }
  }

  #note(text: string, ms: number): void {
    let use = this.uses.get(text);
    if (!use) {
      const key = this.uses.size < MOST_TEXTS ? text : 'others';
      use = this.uses.get(key) ?? { count: 0, ms: 0 };
      this.uses.set(key, use);
    }
    use.count++;
    use.ms += ms;
  }
}

/** The processor profile of this process, a file for each measurement; Chrome's developer tools open it. */
export class Profiler {
  readonly #session = new Session();

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post('Profiler.enable');
    await this.#session.post('Profiler.setSamplingInterval', { interval: 1000 });
    await this.#session.post('Profiler.start');
  }

  async stop(file: string): Promise<void> {
    const { profile } = await this.#session.post('Profiler.stop');
    this.#session.disconnect();
    await writeFile(file, JSON.stringify(profile));
  }
}
