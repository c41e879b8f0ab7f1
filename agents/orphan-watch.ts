import type { Orphan } from './part.js';

/**
 * The list of what nothing names, as operators are told of it. What leaves just now, since its object did, is not left over:
 * while a change is being applied only what an earlier look had found as well is listed, and afterwards there is another look.
 */
export class OrphanWatch {
  readonly #find: () => Promise<readonly Orphan[]>;
  readonly #failed: (error: unknown) => void;
  #list: readonly Orphan[] = [];
  /** Names of what the last look found, listed or not. */
  #found: ReadonlySet<string> = new Set();
  #applying = 0;
  #changes = 0;
  #unsure = false;

  /** `find` looks at the host; `failed` is told when a look that nobody waits for fails. */
  constructor(find: () => Promise<readonly Orphan[]>, failed: (error: unknown) => void) {
    this.#find = find;
    this.#failed = failed;
  }

  get list(): readonly Orphan[] {
    return this.#list;
  }

  /** A change of the spec is being applied until the promise settles. */
  during(applied: Promise<unknown>): void {
    this.#applying++;
    this.#changes++;
    const end = () => {
      this.#applying--;
      if (this.#applying === 0 && this.#unsure) this.look().catch(this.#failed);
    };
    applied.then(end, end);
  }

  /** Looks, and replaces the list. Throws what the look throws; the list stays then. */
  async look(again = true): Promise<void> {
    const changes = this.#changes;
    const calm = this.#applying === 0;
    const found = await this.#find();
    this.#unsure = found.length > 0 && !(calm && changes === this.#changes);
    this.#list = this.#unsure ? found.filter((orphan) => this.#found.has(nameOf(orphan))) : found;
    this.#found = new Set(found.map(nameOf));
    // all that changed meanwhile has been applied meanwhile, too
    if (this.#unsure && this.#applying === 0 && again) await this.look(false);
  }
}

function nameOf({ kind, name }: Orphan): string {
  return `${kind}/${name}`;
}
