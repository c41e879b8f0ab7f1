import { type FakeDomain, FakeFailure, type FakeMachine } from './machine.js';

/** One virsh command, as a process of its own or in a conversation; the answer is what stdout gets. */
export function virsh(machine: FakeMachine, args: readonly string[]): string {
  const words = withoutOptions(args);
  const [command = '', ...rest] = words;
  if (command === 'echo') return `${rest.join(' ')}\n`;
  if (command === 'version') return VERSION;
  if (command === 'list') return list(machine, rest);
  if (command === 'define') return define(machine, rest[0] ?? '');
  const action = ACTIONS[command];
  if (!action) throw new FakeFailure(1, `error: unknown command: '${command}'\n`);
  const domain = find(machine, rest[0] ?? '');
  return action(machine, domain, rest.slice(1));
}

/** Options before the command: `-q`, `-c URI`. */
export function withoutOptions(args: readonly string[]): readonly string[] {
  let at = 0;
  while (args[at]?.startsWith('-')) at += args[at] === '-c' ? 2 : 1;
  return args.slice(at);
}

const VERSION =
  'Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\nRunning hypervisor: QEMU 7.2.0\n\n';

const ACTIONS: Readonly<
  Record<string, (machine: FakeMachine, domain: FakeDomain, args: readonly string[]) => string>
> = {
  domstate: (_machine, { state, reason }) => `${state} (${reason})\n\n`,
  dominfo: (_machine, { name, uuid, state, persistent, autostart }) =>
    `Name:           ${name}\nUUID:           ${uuid}\nState:          ${state}\nPersistent:     ${persistent ? 'yes' : 'no'}\nAutostart:      ${autostart ? 'enable' : 'disable'}\n\n`,
  autostart(_machine, domain, args) {
    domain.autostart = !args.includes('--disable');
    return '';
  },
  dumpxml: (_machine, { xml, running }, args) => `${args.includes('--inactive') ? xml : (running ?? xml)}\n`,
  start,
  shutdown(machine, domain) {
    requireRunning(domain);
    const { running } = domain;
    setTimeout(() => {
      if (domain.running === running) end(machine, domain, 'shutdown', 'Stopped Shutdown');
    }, machine.options.shutdownMs).unref();
    return '';
  },
  destroy(machine, domain) {
    requireRunning(domain);
    end(machine, domain, 'destroyed', 'Stopped Destroyed');
    return '';
  },
  undefine(machine, domain) {
    domain.persistent = false;
    // a guest that runs goes on without a definition
    if (domain.running === null) machine.domains.delete(domain.uuid);
    machine.domainEvent(domain.name, 'Undefined Removed');
    return '';
  },
};

function start(machine: FakeMachine, domain: FakeDomain): string {
  const refuse = (reason: string): never => {
    throw new FakeFailure(1, `error: Failed to start domain '${domain.name}'\nerror: ${reason}\n`);
  };
  if (domain.running !== null) return refuse('Requested operation is not valid: domain is already running');
  for (const [, file = ''] of domain.xml.matchAll(/<source file="([^"]+)"/g)) {
    if (!machine.files.get(file))
      return refuse(`Cannot access storage file '${file}': No such file or directory`);
  }
  for (const [, tap = ''] of domain.xml.matchAll(/<target dev="(tap[^"]+)"/g)) {
    if (!machine.netns('').links.has(tap))
      return refuse(`Unable to open /dev/net/tun for ${tap}: no such device`);
  }
  domain.running = domain.xml;
  domain.state = 'running';
  domain.reason = 'booted';
  const log = /<log file="([^"]+)"/.exec(domain.xml)?.[1];
  if (log) {
    const before = machine.files.get(log)?.content.toString() ?? '';
    machine.files.write(log, `${before}Simulated guest ${domain.name} started, nothing runs in it\n`, 0o600);
  }
  machine.domainEvent(domain.name, 'Started Booted');
  return '';
}

/** Ends a guest, as its own crash would; also for tests. */
export function end(machine: FakeMachine, domain: FakeDomain, reason: string, event: string): void {
  domain.running = null;
  domain.state = 'shut off';
  domain.reason = reason;
  if (!domain.persistent) machine.domains.delete(domain.uuid);
  machine.domainEvent(domain.name, event);
}

function define(machine: FakeMachine, path: string): string {
  const xml = machine.files.get(path)?.content.toString();
  if (xml === undefined)
    throw new FakeFailure(1, `error: Failed to open file '${path}': No such file or directory\n`);
  const name = /<name>([^<]+)<\/name>/.exec(xml)?.[1] ?? '';
  const uuid = /<uuid>([^<]+)<\/uuid>/.exec(xml)?.[1] ?? '';
  const other = [...machine.domains.values()].find((domain) => domain.name === name && domain.uuid !== uuid);
  if (other || !name || !uuid) {
    throw new FakeFailure(
      1,
      `error: Failed to define domain from ${path}\nerror: operation failed: domain '${name}' already exists with uuid ${other?.uuid}\n`,
    );
  }
  const known = machine.domains.get(uuid);
  if (known) Object.assign(known, { xml, name, persistent: true });
  else {
    const off = { running: null, state: 'shut off', reason: 'unknown' } as const;
    machine.domains.set(uuid, { uuid, name, xml, ...off, persistent: true, autostart: false });
  }
  machine.domainEvent(name, known ? 'Defined Updated' : 'Defined Added');
  return '';
}

function list(machine: FakeMachine, args: readonly string[]): string {
  const shown = [...machine.domains.values()].filter((d) => args.includes('--all') || d.running !== null);
  const line = ({ uuid, name }: FakeDomain) =>
    args.includes('--uuid') && args.includes('--name')
      ? `${uuid} ${name}`
      : args.includes('--uuid')
        ? uuid
        : name;
  return `${shown.map((domain) => `${line(domain)}\n`).join('')}\n`;
}

function find(machine: FakeMachine, wanted: string): FakeDomain {
  const found =
    machine.domains.get(wanted) ?? [...machine.domains.values()].find(({ name }) => name === wanted);
  // all that virsh 9.0 says: it drops libvirt's own text, so the same comes of a lookup that failed otherwise
  if (!found) throw new FakeFailure(1, `error: failed to get domain '${wanted}'\n`);
  return found;
}

function requireRunning(domain: FakeDomain): void {
  if (domain.running === null) {
    throw new FakeFailure(1, 'error: Requested operation is not valid: domain is not running\n');
  }
}
