import { specDigest } from '../src/protocol/keys.js';
import {
  DEFAULT_SETTINGS,
  type HostSettings,
  type SpecPush,
  type SpecRefusal,
} from '../src/protocol/messages.js';
import type { ObjectKey, Spec, SpecObject } from '../src/protocol/objects.js';
import { parseSecretJson } from '../src/protocol/secret-text.js';
import type { Host } from './host/host.js';

/** The part of a host that keeps the agent's own files. */
export type StateFiles = Pick<
  Host,
  'readFileIfExists' | 'writeFile' | 'makeDirectory' | 'removeFile' | 'rename'
>;

/** A spec and where it stands in the controller's order. */
export interface HeldSpec {
  readonly incarnation: string | null;
  /** Incarnations that ended here, the last ones: a push of one of them was delayed, or comes from a restored backup. */
  readonly left: readonly string[];
  readonly sequence: number;
  /** Number of the controller's last change that is in it. */
  readonly as_of: number;
  readonly digest: string;
  readonly spec: Spec;
  readonly settings: HostSettings;
  /** What left the spec and may not have been reported as gone yet: an agent that starts reports it again. */
  readonly leaving: readonly ObjectKey[];
}

export type PushOutcome =
  | { readonly taken: true; readonly keys: ReadonlySet<ObjectKey> }
  | { readonly taken: false; readonly refusal: SpecRefusal };

/** At or below this many at once, guests may be destroyed whatever their share is: on a small host each one is a large share. */
const ALWAYS_REMOVABLE = 10;

const NOTHING: HeldSpec = {
  incarnation: null,
  left: [],
  sequence: 0,
  as_of: 0,
  digest: specDigest({}),
  spec: {},
  settings: DEFAULT_SETTINGS,
  leaving: [],
};

/** Where a host's spec is kept. */
export function specFile(stateDir: string): string {
  return `${stateDir}/spec.json`;
}

/** The last spec, kept on disk (0600) before it is acknowledged: what a host brings back after a reboot. */
export class SpecStore {
  readonly #files: StateFiles;
  readonly #path: string;
  readonly #maxRemovalShare: () => number;
  #held: HeldSpec = NOTHING;
  #writing: Promise<unknown> = Promise.resolve();
  #removed = false;

  constructor(files: StateFiles, stateDir: string, maxRemovalShare: number | (() => number)) {
    this.#files = files;
    this.#path = specFile(stateDir);
    this.#maxRemovalShare = typeof maxRemovalShare === 'function' ? maxRemovalShare : () => maxRemovalShare;
  }

  get held(): HeldSpec {
    return this.#held;
  }

  /**
   * Reads what was kept; gives the reason when the file is damaged. Nothing is reconciled while no spec is held, and the
   * controller sends everything at the first heartbeat, so a lost file costs time and nothing else.
   */
  async load(): Promise<string | null> {
    const text = await this.#files.readFileIfExists(this.#path);
    if (text === null) return null;
    try {
      const {
        incarnation,
        left = [],
        sequence,
        as_of = 0,
        spec,
        settings = DEFAULT_SETTINGS,
        leaving = [],
      } = parseSecretJson<HeldSpec>(text);
      this.#held = {
        incarnation,
        left,
        sequence,
        as_of,
        spec,
        settings,
        leaving,
        digest: specDigest(spec, settings),
      };
      return null;
    } catch (error) {
      return `${this.#path}: ${(error as Error).message}`;
    }
  }

  /** The host was removed from its cloud: from now on every push is refused, also one that is under way. */
  refuseAll(): void {
    this.#removed = true;
  }

  /**
   * Forgets the spec and refuses every other; what it was stays beside it, for whoever has to find out. Nothing is held any more
   * also when this rejects because the file cannot be taken away.
   */
  forget(): Promise<void> {
    this.refuseAll();
    const result = this.#writing.then(async () => {
      this.#held = NOTHING;
      if ((await this.#files.readFileIfExists(this.#path)) === null) return;
      try {
        // needs no space on a full disk
        await this.#files.rename(this.#path, `${this.#path}.before-removal`);
      } catch (error) {
        await this.#files.removeFile(this.#path);
        throw error;
      }
    });
    this.#writing = result.catch(() => {});
    return result;
  }

  /** The controller knows that these are gone. They leave the disk with the next push: to report them twice does no harm. */
  toldGone(keys: readonly ObjectKey[]): void {
    const known = new Set(keys);
    this.#held = { ...this.#held, leaving: this.#held.leaving.filter((key) => !known.has(key)) };
  }

  /**
   * Takes a push: on disk first, then in memory. Pushes are taken one after another. `taken` is called in the moment in which it
   * holds, before anybody acts on it, with what was held before and the keys that differ.
   */
  take(
    push: SpecPush,
    taken: (before: Spec, keys: ReadonlySet<ObjectKey>) => void = () => {},
  ): Promise<PushOutcome> {
    const result = this.#writing.then(() => this.#take(push, taken));
    this.#writing = result.catch(() => {});
    return result;
  }

  async #take(
    push: SpecPush,
    taken: (before: Spec, keys: ReadonlySet<ObjectKey>) => void,
  ): Promise<PushOutcome> {
    const held = this.#held;
    const refuse = (reason: SpecRefusal['reason'], message: string): PushOutcome => ({
      taken: false,
      refusal: {
        reason,
        message,
        sequence: held.sequence,
        digest: held.digest,
        as_of: held.as_of,
        incarnation: held.incarnation,
      },
    });
    const removed = 'this host was removed from its cloud; join it with a new token to use it again';
    if (this.#removed) return refuse('removed', removed);
    const sameIncarnation = push.incarnation === held.incarnation;
    const asOf = push.as_of ?? held.as_of;
    if (sameIncarnation && asOf < held.as_of) {
      return refuse('older', `it is as of change ${asOf}, this host holds one as of ${held.as_of}`);
    }
    if (held.left.includes(push.incarnation)) {
      return refuse(
        'older',
        `incarnation ${push.incarnation} has ended, this host is at ${held.incarnation}`,
      );
    }
    if (sameIncarnation && push.sequence <= held.sequence) {
      return refuse('stale', `push ${push.sequence} is not newer than ${held.sequence}`);
    }
    if (push.base !== null && (!sameIncarnation || push.base !== held.digest)) {
      return refuse('base', `holding ${held.digest} of incarnation ${held.incarnation}, not ${push.base}`);
    }
    const next = merge(push.base === null ? {} : held.spec, push);
    if (!push.confirmed) {
      const message = this.#tooManyRemovals(held.spec, next);
      if (message) return refuse('removal', message);
    }
    const settings = push.settings ?? DEFAULT_SETTINGS;
    const record: HeldSpec = {
      incarnation: push.incarnation,
      left: leftBehind(held, push.incarnation),
      sequence: push.sequence,
      as_of: asOf,
      digest: specDigest(next, settings),
      spec: next,
      settings,
      leaving: leavingKeys(held, next),
    };
    await this.#write(JSON.stringify(record));
    if (this.#removed) return refuse('removed', removed);
    // what was acknowledged while the file was written need not be reported again
    const acknowledged = new Set(held.leaving.filter((key) => !this.#held.leaving.includes(key)));
    this.#held = { ...record, leaving: record.leaving.filter((key) => !acknowledged.has(key)) };
    const keys = differentKeys(held.spec, next);
    taken(held.spec, keys);
    return { taken: true, keys };
  }

  /** What cannot be kept is not taken: the controller tries again, and the host goes on with what it holds. */
  async #write(text: string): Promise<void> {
    try {
      await this.#files.writeFile(this.#path, text, 0o600);
    } catch (error) {
      const directory = this.#path.slice(0, this.#path.lastIndexOf('/'));
      throw new Error(
        `the spec was not taken, ${this.#path} cannot be written: ${(error as Error).message}; free space on the file system of ${directory}, or make it writable`,
        { cause: error },
      );
    }
  }

  #tooManyRemovals(before: Spec, after: Spec): string | null {
    const guests = Object.entries(before).filter(([key, o]) => key.startsWith('server/') && !o.tombstone);
    const removed = guests.filter(([key]) => after[key as ObjectKey]?.tombstone).length;
    const share = this.#maxRemovalShare();
    if (removed <= ALWAYS_REMOVABLE || removed <= guests.length * share) return null;
    return `would destroy ${removed} of ${guests.length} guests, more than max_removal_share (${share}) allows; confirm it if it is meant`;
  }
}

const MOST_LEFT = 32;

function leftBehind(held: HeldSpec, incarnation: string): readonly string[] {
  if (held.incarnation === null || held.incarnation === incarnation) return held.left;
  return [...held.left, held.incarnation].slice(-MOST_LEFT);
}

function merge(base: Spec, push: SpecPush): Spec {
  const next: Record<ObjectKey, SpecObject> = { ...base, ...push.changed };
  for (const key of push.removed) delete next[key];
  return next;
}

function differentKeys(before: Spec, after: Spec): ReadonlySet<ObjectKey> {
  const keys = new Set<ObjectKey>();
  for (const key of Object.keys(after) as ObjectKey[]) {
    if (before[key]?.revision !== after[key]?.revision) keys.add(key);
  }
  for (const key of Object.keys(before) as ObjectKey[]) if (!(key in after)) keys.add(key);
  return keys;
}

/** Guests and volumes go by a tombstone, which stays until they are reported as gone. */
function leavingKeys(held: HeldSpec, next: Spec): readonly ObjectKey[] {
  const gone = (Object.keys(held.spec) as ObjectKey[]).filter((key) => !/^(server|volume)\//.test(key));
  return [...new Set([...held.leaving, ...gone])].filter((key) => !(key in next));
}
