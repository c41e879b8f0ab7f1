import type { Host, Pipe } from '../../host/host.js';
import type { ObservedSets } from '../firewall/ipset/sets.js';

const ANSWER_MS = 5_000;

/** Number of members of each of our sets, from `ipset list -t`; the kernel tells nobody when one changes. */
export class SetsPoll {
  readonly #host: Host;
  #pipe: Pipe | null = null;
  #lines: string[] = [];
  #answer: ((lines: readonly string[]) => void) | null = null;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Whether a set is gone or has another number of members than is known. False when ipset does not answer. */
  async contradicts(known: ObservedSets): Promise<boolean> {
    const sizes = await this.#read();
    if (sizes === null) return false;
    return [...known].some(([name, members]) => sizes.get(name) !== members.size);
  }

  close(): void {
    this.#pipe?.close();
    this.#pipe = null;
  }

  async #read(): Promise<ReadonlyMap<string, number> | null> {
    this.#open();
    const lines = await new Promise<readonly string[] | null>((resolve) => {
      const timer = setTimeout(() => resolve(null), ANSWER_MS);
      timer.unref();
      this.#lines = [];
      this.#answer = (found) => {
        clearTimeout(timer);
        resolve(found);
      };
      // its version marks the end of the answer
      this.#pipe?.write('list -t');
      this.#pipe?.write('version');
    });
    this.#answer = null;
    if (lines === null) {
      this.close();
      return null;
    }
    const sizes = new Map<string, number>();
    let name = '';
    for (const line of lines) {
      const [, key, value = ''] = /^(?:ipset> )*(Name|Number of entries): (.+)$/.exec(line) ?? [];
      if (key === 'Name') name = value;
      else if (key && name.startsWith('maru')) sizes.set(name, Number(value));
    }
    return sizes;
  }

  #open(): void {
    if (this.#pipe) return;
    const pipe = this.#host.openPipe('stdbuf', ['-oL', 'ipset', '-']);
    this.#pipe = pipe;
    pipe.onLine((line) => {
      if (this.#pipe !== pipe) return;
      if (/^(?:ipset> )*ipset v/.test(line)) this.#answer?.(this.#lines);
      else this.#lines.push(line);
    });
    pipe.onExit(() => {
      if (this.#pipe === pipe) this.#pipe = null;
    });
  }
}
