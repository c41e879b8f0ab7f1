import type { ObjectKey, RouterObject, Spec } from '../../../src/protocol/objects.js';
import type { NetworkContext } from '../config.js';
import { type Failures, objectsOf } from '../model.js';

/** What a host remembers of a router. */
interface Remembered {
  /** The newest epoch that was in a spec. */
  readonly epoch: number;
  /** That epoch was given up. */
  readonly withdrawn: boolean;
  /** When it was last in a spec, ISO 8601. */
  readonly seen: string;
}

/** How long a router that is in no spec is remembered. */
const FORGET_MS = 30 * 24 * 3600 * 1000;
const DAY_MS = 24 * 3600 * 1000;

/**
 * The newest epoch of each router that this host has seen, on disk: whatever is older, or was given up, never runs here again,
 * however late the spec is that asks for it.
 */
export class RouterEpochs {
  readonly #context: NetworkContext;
  #known: Map<string, Remembered> | null = null;
  #dirty = false;

  constructor(context: NetworkContext) {
    this.#context = context;
  }

  get #file(): string {
    return `${this.#context.config.state_dir}/network/routers.json`;
  }

  /** Reads the file once. */
  async load(): Promise<void> {
    if (this.#known) return;
    const text = await this.#context.host.readFileIfExists(this.#file);
    this.#known = new Map(
      text === null ? [] : Object.entries(JSON.parse(text) as Record<string, Remembered>),
    );
  }

  /**
   * The spec without the routers that must not run here, each of which becomes a failure, and without those that are withdrawn. The
   * second result are routers that this host ran under the same epoch before: whether another host has taken over must be asked.
   * With `note`, what is new is remembered.
   */
  admit(
    spec: Spec,
    failures: Failures,
    note: boolean,
  ): { readonly spec: Spec; readonly again: ReadonlySet<ObjectKey> } {
    const again = new Set<ObjectKey>();
    const left = new Set<ObjectKey>();
    const now = this.#context.host.now();
    for (const { key, body } of objectsOf(spec, 'router')) {
      const known = this.#known!.get(body.id);
      const why = refusal(body, known);
      if (why) failures.add(key, { message: why, hint: OLD_EPOCH });
      if (why || body.withdrawn) left.add(key);
      if (why) continue;
      if (known?.epoch === body.epoch && !body.withdrawn) again.add(key);
      if (note) this.#note(body, known, now);
    }
    for (const [id, { seen }] of note ? this.#known! : []) {
      if (spec[`router/${id}`] || now.getTime() - Date.parse(seen) < FORGET_MS) continue;
      this.#known!.delete(id);
      this.#dirty = true;
    }
    if (!left.size) return { spec, again };
    return {
      spec: Object.fromEntries(Object.entries(spec).filter(([key]) => !left.has(key as ObjectKey))),
      again,
    };
  }

  /** Writes what changed: before any of it is acted on. */
  async save(): Promise<void> {
    if (!this.#dirty) return;
    const { host, config } = this.#context;
    await host.makeDirectory(`${config.state_dir}/network`, 0o755);
    await host.writeFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#known!))}\n`, 0o600);
    this.#dirty = false;
  }

  #note(body: RouterObject, known: Remembered | undefined, now: Date): void {
    const { epoch, withdrawn = false } = body;
    const fresh = known && now.getTime() - Date.parse(known.seen) < DAY_MS;
    if (fresh && known.epoch === epoch && known.withdrawn === withdrawn) return;
    this.#known!.set(body.id, { epoch, withdrawn, seen: now.toISOString() });
    this.#dirty = true;
  }
}

const OLD_EPOCH =
  'The controller gives the router a newer epoch when it places it: `maru router list` shows where it is; `maru router move` places it anew.';

function refusal(body: RouterObject, known: Remembered | undefined): string | null {
  if (!known || body.epoch > known.epoch) return null;
  if (body.epoch < known.epoch)
    return `epoch ${body.epoch} of router ${body.id} is older than ${known.epoch}, which this host has seen`;
  if (known.withdrawn && !body.withdrawn)
    return `epoch ${body.epoch} of router ${body.id} was given up by this host`;
  return null;
}
