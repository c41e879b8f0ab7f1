import type { Host } from '../../agents/host/host.js';

const CHANGES = new Set([
  'run',
  'writeFile',
  'removeFile',
  'removeTree',
  'makeDirectory',
  'rename',
  'chmod',
  'writeStream',
]);

/** A host whose agent is killed at one of its changes. */
export interface MortalHost {
  readonly host: Host;
  /** The changes begun so far, in words. */
  readonly changes: readonly string[];
  readonly isDead: () => boolean;
}

/**
 * Kills the agent at its change number `dieAt` (from 1): before the change, or after it but before the agent learns of it. From then on
 * nothing works any more, so that no clean-up runs which a real death would not run either.
 */
export function mortalHost(host: Host, dieAt: number, moment: 'before' | 'after'): MortalHost {
  const changes: string[] = [];
  let dead = false;
  const die = () => {
    dead = true;
    throw new Error('the agent was killed');
  };
  const proxy = new Proxy(host, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'now') return Reflect.apply(value, target, args) as unknown;
        if (dead && (name === 'openPipe' || name === 'kill')) throw new Error('the agent is dead');
        if (dead) return Promise.reject(new Error('the agent is dead'));
        const call = () => Reflect.apply(value, target, args) as unknown;
        if (!CHANGES.has(String(name))) return call();
        const number = changes.push(`${String(name)} ${args.slice(0, 2).flat().join(' ').slice(0, 160)}`);
        return (async () => {
          if (dieAt === number && moment === 'before') die();
          const result = await call();
          if (dieAt === number) die();
          if (dead) throw new Error('the agent is dead');
          return result;
        })();
      };
    },
  });
  return { host: proxy, changes, isDead: () => dead };
}
