import {
  addLink,
  addressJson,
  addTap,
  after,
  deleteLink,
  existing,
  linkJson,
  nameIn,
  setLink,
} from './links.js';
import { FakeFailure, type FakeMachine, type FakeNamespace } from './machine.js';

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
    case 'neigh show':
      return '[]';
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
  if (verb === 'list-id') {
    const names = [...machine.namespaces.keys()].filter(Boolean);
    return JSON.stringify(names.map((one, nsid) => ({ nsid, name: one })));
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
