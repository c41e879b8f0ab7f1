import type { CollectedLog, LogEntry } from '../core/log/collect.js';

/** Lines of one moment may come in any order; each look goes back this far. */
const OVERLAP_MS = 15_000;

/** What `--follow` has shown, and from when on it has to look again. */
export class Follower {
  readonly #printed = new Map<string, string>();
  #since: string;

  /** `since`: RFC 3339. */
  constructor(since: string) {
    this.#since = since;
  }

  /** From when on (RFC 3339) lines are wanted at the next look. */
  get since(): string {
    return this.#since;
  }

  /** The entries of a look that were in none before it, in their order. */
  take({ entries }: CollectedLog, now = Date.now()): readonly LogEntry[] {
    const fresh = entries.filter((entry) => {
      const text = JSON.stringify(entry);
      if (this.#printed.has(text)) return false;
      this.#printed.set(text, entry.line.time);
      return true;
    });
    const last = Date.parse(entries.at(-1)?.line.time ?? '');
    if (Number.isNaN(last)) return fresh;
    // a host whose clock is ahead must not hide what the others log until then
    const from = Math.max(Date.parse(this.#since), Math.min(last, now) - OVERLAP_MS);
    this.#since = new Date(from).toISOString();
    for (const [text, time] of this.#printed) {
      // lines without a time come again at each look
      if (time !== '' && time < this.#since) this.#printed.delete(text);
    }
    return fresh;
  }
}
