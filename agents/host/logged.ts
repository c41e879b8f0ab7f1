import type { Logger } from '../../src/protocol/log.js';
import { contextRequests } from '../../src/protocol/log-context.js';
import type { CommandOptions, CommandResult, Host } from './host.js';

/** Commands whose input is what they do, and has no secrets in it: it is logged as well. */
const SCRIPTED = new Set(['ip', 'bridge', 'ipset', 'iptables-restore', 'ip6tables-restore', 'nft', 'tc']);
const MOST_INPUT = 4_000;

/**
 * The same host, with every command in the log: at level info those that change something and are run for requests, which are named
 * with them (log-context.ts), at debug the rest.
 */
export function withCommandLog(host: Host, log: Logger): Host {
  const logged = async (
    way: 'read' | 'run',
    command: string,
    args: readonly string[],
    options?: CommandOptions,
  ): Promise<CommandResult> => {
    const began = performance.now();
    const level = way === 'run' && contextRequests().length > 0 ? 'info' : 'debug';
    const tell = (outcome: object) =>
      log[level]('command', {
        command: [command, ...args].join(' '),
        ...(options?.netns === undefined ? {} : { netns: options.netns }),
        ...inputOf(command, options?.input),
        changes: way === 'run',
        ms: Math.round(performance.now() - began),
        ...outcome,
      });
    try {
      const result = await host[way](command, args, options);
      tell({ exit_code: result.exitCode });
      return result;
    } catch (error) {
      const { exitCode, message } = error as { exitCode?: number | null; message: string };
      tell({ exit_code: exitCode ?? null, failed: message });
      throw error;
    }
  };
  const changed = <A extends unknown[], R>(what: string, method: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      const result = await method.apply(host, args);
      if (contextRequests().length > 0) log.info(what, { path: args[0] });
      return result;
    };
  };
  return new Proxy(host, {
    get(target, name) {
      if (name === 'read' || name === 'run')
        return (command: string, args: readonly string[], options?: CommandOptions) =>
          logged(name, command, args, options);
      if (name === 'writeFile') return changed('file written', target.writeFile);
      if (name === 'removeFile') return changed('file removed', target.removeFile);
      if (name === 'removeTree') return changed('directory removed', target.removeTree);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function inputOf(command: string, input: string | undefined): { input?: string } {
  if (input === undefined || !SCRIPTED.has(command)) return {};
  return { input: input.length > MOST_INPUT ? `${input.slice(0, MOST_INPUT)}…` : input };
}
