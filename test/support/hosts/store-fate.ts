import { Store, type Tx } from '../../../src/store/store.js';
import type { Moment } from './fate.js';

/** Raised to whatever a dead controller still tries. */
export class ControllerDead extends Error {
  constructor() {
    super('the controller was killed');
  }
}

/**
 * When a controller dies: at its transaction number `dieAt` (from 1), before it begins or after it was committed, with all that came
 * after it in the program undone. Nothing that a controller does lasts but by its transactions, so this is every moment that differs.
 */
export class StoreFate {
  /** Resolves at its death. */
  readonly death: Promise<void>;
  readonly #moment: Moment;
  readonly #onDeath: () => void;
  #dieAt: number;
  #died: () => void = () => {};
  #transactions = 0;
  #dead = false;

  constructor(dieAt: number, moment: Moment, onDeath: () => void) {
    this.#dieAt = dieAt;
    this.#moment = moment;
    this.#onDeath = onDeath;
    this.death = new Promise((resolve) => {
      this.#died = resolve;
    });
  }

  get dead(): boolean {
    return this.#dead;
  }

  die(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#onDeath();
    this.#died();
  }

  disarm(): void {
    this.#dieAt = Number.POSITIVE_INFINITY;
  }

  async run<T>(transaction: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new ControllerDead();
    const number = ++this.#transactions;
    if (number === this.#dieAt && this.#moment === 'before') this.die();
    if (this.#dead) throw new ControllerDead();
    try {
      return await transaction();
    } finally {
      if (number === this.#dieAt) this.die();
      // the answer of a transaction that was committed at the moment of death reaches nobody
      // biome-ignore lint/correctness/noUnsafeFinally: a dead program has no result
      if (this.#dead) throw new ControllerDead();
    }
  }
}

const fates = new WeakMap<Store, StoreFate>();
let opened: Store[] = [];
let users = 0;
const { tx } = Store.prototype;
const { open } = Store;

/** Lets stores that are opened from now on be found, and be given a fate. Gives what ends that. */
export function watchStores(): () => void {
  if (users++ === 0) {
    Store.open = async (...args: Parameters<typeof open>) => {
      const store = await open.apply(Store, args);
      opened.push(store);
      return store;
    };
    Store.prototype.tx = async function <T>(
      this: Store,
      body: (trx: Tx) => Promise<T>,
      options?: { readonly unseen?: boolean },
    ): Promise<T> {
      const transaction = () => tx.call(this, body, options) as Promise<T>;
      return await (fates.get(this)?.run(transaction) ?? transaction());
    };
  }
  return () => {
    if (--users > 0) return;
    Store.open = open;
    Store.prototype.tx = tx;
    opened = [];
  };
}

/** The store that was opened last. */
export function latestStore(): Store {
  const store = opened.at(-1);
  if (!store) throw new Error('no store was opened: call watchStores before');
  return store;
}

export function giveFate(store: Store, fate: StoreFate): void {
  fates.set(store, fate);
}
