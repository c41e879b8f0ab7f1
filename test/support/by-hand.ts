import type { FakeLink, FakeMachine } from '../../agents/host/fake/machine.js';
import { PROGRAMS } from '../../agents/host/fake/programs.js';

/** Runs a command on a pretended machine as an operator would: its monitors tell what changed, as those of a real one do. */
export function byHand(
  machine: FakeMachine,
  command: string,
  args: readonly string[],
  options: { readonly input?: string; readonly netns?: string } = {},
): void {
  const before = devices(machine);
  PROGRAMS[command]!(machine, { args, input: options.input ?? '', netns: options.netns ?? '' });
  const after = devices(machine);
  for (const [id, was] of before) {
    const is = after.get(id);
    if (is === undefined) say(machine, was, 'Deleted ');
    else if (is.line !== was.line) say(machine, is, '');
    for (const address of was.addresses)
      if (is && !is.addresses.includes(address)) sayAddress(machine, id, address, 'Deleted ');
    for (const address of is?.addresses ?? [])
      if (!was.addresses.includes(address)) sayAddress(machine, id, address, '');
  }
  for (const [id, is] of after) if (!before.has(id)) say(machine, is, '');
  if (/nft|tables/.test(command)) {
    const text = options.input ?? args.join(' ');
    for (const line of text.split('\n').filter(Boolean)) machine.monitorEvent('nft', line);
    machine.monitorEvent('nft', `# new generation 7 by process 4711 (${command})`);
  }
}

interface Device {
  readonly netns: string;
  readonly line: string;
  readonly addresses: readonly string[];
}

function devices(machine: FakeMachine): Map<string, Device> {
  const found = new Map<string, Device>();
  for (const [netns, { links }] of machine.namespaces) {
    for (const link of links.values()) {
      found.set(`${netns} ${link.name}`, {
        netns,
        line: lineOf(link),
        addresses: [...link.addresses.keys()],
      });
    }
  }
  return found;
}

function lineOf({ name, up, mtu, master }: FakeLink): string {
  const flags = up ? 'BROADCAST,MULTICAST,UP,LOWER_UP' : 'BROADCAST,MULTICAST';
  return `3: ${name}: <${flags}> mtu ${mtu} qdisc noqueue${master ? ` master ${master}` : ''} state UP`;
}

function say(machine: FakeMachine, { netns, line }: Device, gone: string): void {
  machine.monitorEvent('ip', `${where(machine, netns)}${gone}${line}`);
}

function sayAddress(machine: FakeMachine, id: string, address: string, gone: string): void {
  const [netns = '', name = ''] = id.split(' ');
  machine.monitorEvent(
    'ip',
    `${where(machine, netns)}${gone}3: ${name}    inet ${address} scope global ${name}\\`,
  );
}

function where(machine: FakeMachine, netns: string): string {
  if (netns === '') return '[nsid current]';
  return `[nsid ${[...machine.namespaces.keys()].filter(Boolean).indexOf(netns)}]`;
}
