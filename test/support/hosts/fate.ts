import type { Pipe } from '../../../agents/host/host.js';

const CHANGES = new Set([
  'run',
  'spawnDetached',
  'writeFile',
  'removeFile',
  'removeTree',
  'makeDirectory',
  'rename',
  'chmod',
  'writeStream',
]);

export type Moment = 'before' | 'after';

/**
 * When an agent dies: at a change counted over everything that it was given through `bind`, before that change or after it. A dead
 * agent gets no answers any more, so nothing of it runs that would not run after a kill -9.
 */
export class Fate {
  /** The changes begun since it was armed, in words. */
  changes: string[] = [];
  #dieAt = Number.POSITIVE_INFINITY;
  #moment: Moment = 'after';
  #onDeath: () => void = () => {};
  #dead = false;
  #full: { readonly changes: RegExp; readonly refused: string[] } | null = null;

  /** Changes that match find no room on the disk; null: there is room again. Gives those that were refused, as they come. */
  fill(changes: RegExp | null): readonly string[] {
    this.#full = changes && { changes, refused: [] };
    return this.#full?.refused ?? [];
  }

  /** Death comes at the nth change from now. */
  arm(dieAt: number, moment: Moment, onDeath: () => void): void {
    this.changes = [];
    this.#dieAt = dieAt;
    this.#moment = moment;
    this.#onDeath = onDeath;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** The change that the agent died at. */
  get last(): string {
    return `${this.#moment} change ${this.#dieAt}: ${this.changes[this.#dieAt - 1]}`;
  }

  die(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#onDeath();
  }

  /** The same machine, or the same files, as the agent sees them. */
  bind<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const call = (args: unknown[]) => Reflect.apply(value, target, args) as unknown;
        if (name === 'now') return (...args: unknown[]) => call(args);
        if (name === 'openPipe') return (...args: unknown[]) => (this.#dead ? DEAD_PIPE : call(args));
        if (name === 'watchDirectory')
          return (...args: unknown[]) => (this.#dead ? { close: () => {} } : call(args));
        if (name === 'kill') return (...args: unknown[]) => !this.#dead && call(args);
        return (...args: unknown[]) => {
          if (this.#dead) return NEVER;
          return CHANGES.has(String(name)) ? this.#change(String(name), args, call) : this.#ask(call, args);
        };
      },
    });
  }

  async #change(name: string, args: unknown[], call: (args: unknown[]) => unknown): Promise<unknown> {
    const number = this.changes.push(`${name} ${args.slice(0, 2).flat().join(' ').slice(0, 120)}`);
    if (number === this.#dieAt && this.#moment === 'before') this.die();
    if (this.#dead) return await NEVER;
    const what = this.changes[number - 1] ?? '';
    if (this.#full?.changes.test(what) && !/^(run (?!qemu-img)|remove|rename|spawn)/.test(what)) {
      this.#full.refused.push(what);
      throw Object.assign(new Error(`ENOSPC: no space left on device: ${what}`), { code: 'ENOSPC' });
    }
    try {
      return await call(args);
    } finally {
      if (number === this.#dieAt) this.die();
      if (this.#dead) await NEVER;
    }
  }

  async #ask(call: (args: unknown[]) => unknown, args: unknown[]): Promise<unknown> {
    try {
      return await call(args);
    } finally {
      if (this.#dead) await NEVER;
    }
  }
}

const NEVER = new Promise<never>(() => {});

const DEAD_PIPE: Pipe = {
  pid: undefined,
  write: () => {},
  onLine: () => {},
  onStderr: () => {},
  onExit: () => {},
  close: () => {},
};
