import type { Pipe } from '../host.js';
import { ipset } from './ipset.js';
import { FakeFailure, type FakeMachine } from './machine.js';
import { virsh, withoutOptions } from './virsh.js';

/** A conversation with virsh or ipset, or a stream of events. */
export function openFakePipe(
  machine: FakeMachine,
  command: string,
  args: readonly string[],
  isDead: () => boolean,
): Pipe {
  const words = command === 'stdbuf' ? args.slice(1) : [command, ...args];
  const onLine = new Set<(line: string) => void>();
  const onStderr = new Set<(line: string) => void>();
  const onExit = new Set<(code: number | null) => void>();
  let closed = false;
  const say = (to: Set<(line: string) => void>, text: string) => {
    if (closed || isDead()) return;
    for (const line of text.split('\n').slice(0, -1)) for (const listener of to) listener(line);
  };

  const isVirsh = words[0] === 'virsh';
  const conversation = isVirsh && withoutOptions(words.slice(1)).length === 0;
  const events = isVirsh && withoutOptions(words.slice(1))[0] === 'event';
  const hear = (line: string) => queueMicrotask(() => say(onLine, `${line}\n`));
  const monitored = monitorOf(words);
  const sets = words[0] === 'ipset' && words[1] === '-';
  if (events) machine.listeners.add(hear);
  else if (monitored) machine.monitors[monitored].add(hear);
  else if (!conversation && !sets) {
    setImmediate(() => {
      say(onStderr, `the simulated host has no conversation with ${words.join(' ')}\n`);
      for (const listener of onExit) listener(127);
    });
  }

  return {
    pid: undefined,
    write(line) {
      if (sets && !closed)
        setImmediate(() =>
          say(onLine, line === 'version' ? 'ipset v7.17\n' : ipset(machine, line.split(' '), '')),
        );
      if (!conversation || closed) return;
      setImmediate(() => {
        try {
          say(onLine, virsh(machine, line.split(' ')));
        } catch (error) {
          if (!(error instanceof FakeFailure)) throw error;
          say(onStderr, error.stderr);
        }
      });
    },
    onLine: (listener) => void onLine.add(listener),
    onStderr: (listener) => void onStderr.add(listener),
    onExit: (listener) => void onExit.add(listener),
    close() {
      if (closed) return;
      closed = true;
      machine.listeners.delete(hear);
      if (monitored) machine.monitors[monitored].delete(hear);
      setImmediate(() => {
        for (const listener of onExit) listener(null);
      });
    },
  };
}

function monitorOf(words: readonly string[]): 'ip' | 'nft' | null {
  if (words[0] === 'ip' && words.includes('monitor') && !words.includes('nft')) return 'ip';
  return words.includes('nft') && words.includes('monitor') ? 'nft' : null;
}
