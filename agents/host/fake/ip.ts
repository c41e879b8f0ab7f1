import { FakeFailure, type FakeLink, type FakeMachine, type FakeNamespace } from './machine.js';

/** `ip`: batches and the listings that are read as JSON. */
export function ip(machine: FakeMachine, args: readonly string[], input: string, netns: string): string {
  const words = [...args];
  let where = netns;
  let family: 4 | 6 | null = null;
  let force = false;
  for (;;) {
    const option = words[0];
    if (option === '-n') where = words.splice(0, 2)[1] ?? '';
    else if (option === '-j' || option === '-d') words.shift();
    else if (option === '-4' || option === '-6') family = words.shift() === '-4' ? 4 : 6;
    else if (option === '-force') {
      words.shift();
      force = true;
    } else break;
  }
  if (words[0] === '-batch') return batch(input, force, (line) => void command(machine, line, where, family));
  return command(machine, words, where, family);
}

/** Runs a batch as `-force` does: a line that fails is complained about, the others go on. */
export function batch(input: string, force: boolean, run: (words: string[]) => void): string {
  const complaints: string[] = [];
  input.split('\n').forEach((line, index) => {
    const words = line.trim().split(/\s+/).filter(Boolean);
    if (words.length === 0 || line.startsWith('#') || (complaints.length > 0 && !force)) return;
    try {
      run(words);
    } catch (error) {
      if (!(error instanceof FakeFailure)) throw error;
      complaints.push(`${error.stderr.trim()}\nCommand failed -:${index + 1}`);
    }
  });
  if (complaints.length > 0) throw new FakeFailure(1, `${complaints.join('\n')}\n`);
  return '';
}

function command(
  machine: FakeMachine,
  words: readonly string[],
  where: string,
  family: 4 | 6 | null,
): string {
  const [object = '', verb = 'show', ...rest] = words;
  if (object === 'netns') return namespaces(machine, verb, rest);
  const namespace = machine.netns(where);
  switch (`${object} ${verb}`) {
    case 'link show':
      return JSON.stringify(
        [...namespace.links.values()]
          .filter((link) => rest[0] !== 'type' || link.kind === rest[1])
          .map((link, index) => linkJson(machine, link, index + 1)),
      );
    case 'addr show':
    case 'address show':
      return JSON.stringify(
        [...namespace.links.values()].map((link, index) => ({
          ...linkJson(machine, link, index + 1),
          addr_info: addressJson(link),
        })),
      );
    case 'link add':
      return addLink(machine, namespace, where, rest);
    case 'link del':
    case 'link delete':
      return deleteLink(machine, namespace, nameIn(rest));
    case 'link set':
      return setLink(machine, namespace, where, rest);
    case 'tuntap add':
      return addTap(machine, namespace, rest);
    case 'addr add':
    case 'addr replace':
    case 'addr del':
      return changeAddress(namespace, verb, rest);
    case 'route show':
      return JSON.stringify(
        namespace.routes
          .filter((route) => family === null || route.family === family)
          .map((route) => ({
            dst: route.destination,
            ...(route.gateway ? { gateway: route.gateway } : {}),
            dev: route.dev,
            protocol: 'static',
            flags: route.onlink ? ['onlink'] : [],
          })),
      );
    case 'route replace':
    case 'route add':
    case 'route del':
      return changeRoute(namespace, verb, rest);
    case 'neigh replace':
    case 'neigh flush':
    case 'neigh del':
      return '';
  }
  throw new FakeFailure(255, `Object "${object}" with command "${verb}" is unknown to the simulated ip\n`);
}

function namespaces(machine: FakeMachine, verb: string, [name = '']: readonly string[]): string {
  if (verb === 'list' || verb === 'show') {
    return [...machine.namespaces.keys()]
      .filter(Boolean)
      .map((one) => `${one}\n`)
      .join('');
  }
  if (verb === 'add') {
    if (machine.namespaces.has(name)) {
      throw new FakeFailure(1, `Cannot create namespace file "/run/netns/${name}": File exists\n`);
    }
    machine.addNamespace(name);
    return '';
  }
  if (verb === 'del' || verb === 'delete') {
    const namespace = machine.namespaces.get(name);
    if (!namespace || name === '') {
      throw new FakeFailure(
        1,
        `Cannot remove namespace file "/run/netns/${name}": No such file or directory\n`,
      );
    }
    for (const link of [...namespace.links.values()])
      if (link.name !== 'lo') deleteLink(machine, namespace, link.name);
    machine.namespaces.delete(name);
    machine.files.remove(`/run/netns/${name}`);
    return '';
  }
  throw new FakeFailure(255, `Command "${verb}" is unknown, try "ip netns help".\n`);
}

function addLink(
  machine: FakeMachine,
  namespace: FakeNamespace,
  where: string,
  words: readonly string[],
): string {
  const at = words.indexOf('type');
  const before = words.slice(0, at);
  const [kind = '', ...details] = words.slice(at + 1);
  const name = nameIn(before);
  refuseExisting(namespace, name);
  const link = machine.newLink(name, kind);
  const mac = after(before, 'address');
  const mtu = after(before, 'mtu');
  if (mac) link.mac = mac;
  if (mtu) link.mtu = Number(mtu);
  if (kind === 'vxlan' || kind === 'vlan') {
    link.info.id = Number(after(details, 'id'));
    const local = after(details, 'local');
    if (local) link.info.local = local;
    const parent = after(before, 'link');
    if (kind === 'vlan' && !namespace.links.has(parent ?? '')) throw noDevice(parent ?? '');
    const taken = [...namespace.links.values()].some((l) => l.kind === 'vxlan' && l.info.id === link.info.id);
    if (kind === 'vxlan' && taken) throw new FakeFailure(2, 'RTNETLINK answers: File exists\n');
  }
  if (kind === 'veth') {
    const peerWords = details.slice(details.indexOf('peer') + 1);
    const peerNetns = after(peerWords, 'netns') ?? where;
    const other = machine.netns(peerNetns);
    const peerName = nameIn(peerWords);
    refuseExisting(other, peerName);
    const peer = machine.newLink(peerName, 'veth');
    peer.mac = after(peerWords, 'address') ?? peer.mac;
    peer.mtu = Number(after(peerWords, 'mtu') ?? peer.mtu);
    peer.peer = { netns: where, name };
    link.peer = { netns: peerNetns, name: peerName };
    other.links.set(peerName, peer);
  }
  namespace.links.set(name, link);
  return '';
}

function addTap(machine: FakeMachine, namespace: FakeNamespace, words: readonly string[]): string {
  const name = nameIn(words);
  refuseExisting(namespace, name);
  namespace.links.set(name, { ...machine.newLink(name, 'tun') });
  return '';
}

function deleteLink(machine: FakeMachine, namespace: FakeNamespace, name: string): string {
  const link = existing(namespace, name);
  namespace.links.delete(name);
  namespace.fdb = namespace.fdb.filter((entry) => entry.dev !== name);
  namespace.routes = namespace.routes.filter((route) => route.dev !== name);
  for (const other of namespace.links.values()) if (other.master === name) other.master = null;
  if (link.peer) {
    const far = machine.namespaces.get(link.peer.netns);
    if (far?.links.has(link.peer.name)) {
      far.links.delete(link.peer.name);
      far.fdb = far.fdb.filter((entry) => entry.dev !== link.peer?.name);
      far.routes = far.routes.filter((route) => route.dev !== link.peer?.name);
    }
  }
  return '';
}

function setLink(
  machine: FakeMachine,
  namespace: FakeNamespace,
  where: string,
  words: readonly string[],
): string {
  const name = nameIn(words);
  const link = existing(namespace, name);
  const rest = words[0] === 'dev' ? words.slice(2) : words.slice(1);
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i];
    const value = rest[i + 1] ?? '';
    if (word === 'up') link.up = true;
    else if (word === 'down') link.up = false;
    else if (word === 'nomaster') moveTo(namespace, link, null);
    else if (word === 'type') {
      setTypeOptions(link, value, rest.slice(i + 2));
      return '';
    } else {
      i++;
      if (word === 'mtu') link.mtu = Number(value);
      else if (word === 'address') link.mac = value;
      else if (word === 'addrgenmode') link.addressGeneration = value;
      else if (word === 'master') moveTo(namespace, link, existing(namespace, value).name);
      else if (word === 'netns') {
        namespace.links.delete(name);
        machine.netns(value).links.set(name, link);
        const far = link.peer && machine.namespaces.get(link.peer.netns)?.links.get(link.peer.name);
        if (far) far.peer = { netns: value, name };
      } else
        throw new FakeFailure(
          255,
          `Error: either "dev" is duplicate, or "${word}" is a garbage (in ${where || 'host'}).\n`,
        );
    }
  }
  return '';
}

function moveTo(namespace: FakeNamespace, link: FakeLink, master: string | null): void {
  if (link.master === master) return;
  link.master = master;
  Object.assign(link.portFlags, { learning: true, flood: true, neigh_suppress: false });
  namespace.fdb = namespace.fdb.filter((entry) => entry.dev !== link.name || entry.dst !== null);
}

function setTypeOptions(link: FakeLink, type: string, words: readonly string[]): void {
  for (let i = 0; i + 1 < words.length; i += 2) {
    const [name = '', value = ''] = [words[i], words[i + 1]];
    if (type === 'bridge') link.info[name] = Number(value);
    else if (type === 'bridge_slave' && name in link.portFlags) {
      if (link.master === null) throw new FakeFailure(2, 'RTNETLINK answers: Operation not supported\n');
      link.portFlags[name as keyof FakeLink['portFlags']] = value === 'on';
    } else throw new FakeFailure(255, `${type}: unknown option "${name}"?\n`);
  }
}

function changeAddress(namespace: FakeNamespace, verb: string, words: readonly string[]): string {
  const [text = ''] = words;
  const link = existing(namespace, after(words, 'dev') ?? '');
  if (verb === 'del') {
    if (!link.addresses.delete(text))
      throw new FakeFailure(2, 'RTNETLINK answers: Cannot assign requested address\n');
    return '';
  }
  if (verb === 'add' && link.addresses.has(text))
    throw new FakeFailure(2, 'RTNETLINK answers: File exists\n');
  const [local = '', prefix] = text.split('/');
  const family = local.includes(':') ? 6 : 4;
  link.addresses.set(text, { family, local, prefix: Number(prefix ?? (family === 4 ? 32 : 128)) });
  return '';
}

function changeRoute(namespace: FakeNamespace, verb: string, words: readonly string[]): string {
  const [target = ''] = words;
  const gateway = after(words, 'via') ?? null;
  const family = (gateway ?? target).includes(':') ? 6 : 4;
  const destination = target === '0.0.0.0/0' || target === '::/0' ? 'default' : target;
  const same = (route: { family: number; destination: string }) =>
    route.family === family && route.destination === destination;
  if (verb === 'del') {
    if (!namespace.routes.some(same)) throw new FakeFailure(2, 'RTNETLINK answers: No such process\n');
    namespace.routes = namespace.routes.filter((route) => !same(route));
    return '';
  }
  const dev = existing(namespace, after(words, 'dev') ?? '');
  if (!dev.up) throw new FakeFailure(2, 'RTNETLINK answers: Network is down\n');
  namespace.routes = namespace.routes.filter((route) => !same(route));
  namespace.routes.push({ family, destination, gateway, dev: dev.name, onlink: words.includes('onlink') });
  return '';
}

function linkJson(machine: FakeMachine, link: FakeLink, ifindex: number): Record<string, unknown> {
  // a tap has a carrier while a guest holds it open
  const carrier = link.kind !== 'tun' || isHeld(machine, link.name);
  const flags = [
    ...(link.up && !carrier ? ['NO-CARRIER'] : []),
    'BROADCAST',
    'MULTICAST',
    ...(link.up ? ['UP', ...(carrier ? ['LOWER_UP'] : [])] : []),
  ];
  const slave = link.master === null ? {} : { info_slave_kind: 'bridge', info_slave_data: link.portFlags };
  const linkinfo =
    link.kind || link.master ? { linkinfo: { info_kind: link.kind, info_data: link.info, ...slave } } : {};
  return {
    ifindex,
    ifname: link.name,
    flags,
    mtu: link.mtu,
    operstate: link.up && carrier ? 'UP' : 'DOWN',
    address: link.mac,
    ...(link.master ? { master: link.master } : {}),
    inet6_addr_gen_mode: link.addressGeneration,
    ...linkinfo,
  };
}

function isHeld(machine: FakeMachine, tap: string): boolean {
  return [...machine.domains.values()].some(({ running }) => running?.includes(`"${tap}"`));
}

function addressJson(link: FakeLink): unknown[] {
  return [...link.addresses.values()].map(({ family, local, prefix }) => ({
    family: family === 4 ? 'inet' : 'inet6',
    local,
    prefixlen: prefix,
    scope: 'global',
  }));
}

/** The device that words name: after `dev` or `name`, or first. */
function nameIn(words: readonly string[]): string {
  return after(words, 'name') ?? after(words, 'dev') ?? words[0] ?? '';
}

function after(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

function existing(namespace: FakeNamespace, name: string): FakeLink {
  const link = namespace.links.get(name);
  if (!link) throw noDevice(name);
  return link;
}

function refuseExisting(namespace: FakeNamespace, name: string): void {
  if (namespace.links.has(name)) throw new FakeFailure(2, 'RTNETLINK answers: File exists\n');
}

function noDevice(name: string): FakeFailure {
  return new FakeFailure(1, `Cannot find device "${name}"\n`);
}
