import { batch } from './ip.js';
import { FakeFailure, type FakeFdbEntry, type FakeMachine } from './machine.js';

/** `bridge`: the forwarding database. */
export function bridge(machine: FakeMachine, args: readonly string[], input: string, netns: string): string {
  const words = [...args];
  let where = netns;
  let force = false;
  for (;;) {
    if (words[0] === '-n') where = words.splice(0, 2)[1] ?? '';
    else if (words[0] === '-j') words.shift();
    else if (words[0] === '-force') {
      words.shift();
      force = true;
    } else break;
  }
  if (words[0] === '-batch') return batch(input, force, (line) => void fdb(machine, line, where));
  return fdb(machine, words, where);
}

function fdb(
  machine: FakeMachine,
  [object, verb = 'show', ...rest]: readonly string[],
  where: string,
): string {
  if (object !== 'fdb') throw new FakeFailure(255, `Object "${object}" is unknown to the simulated bridge\n`);
  const namespace = machine.netns(where);
  if (verb === 'show') {
    return JSON.stringify(
      namespace.fdb.map(({ dev, mac, dst }) => ({
        mac,
        ifname: dev,
        flags: dst === null ? [] : ['self'],
        ...(dst === null
          ? { master: namespace.links.get(dev)?.master ?? '', state: 'static' }
          : { dst, state: 'permanent' }),
      })),
    );
  }
  const [mac = ''] = rest;
  const dev = rest[rest.indexOf('dev') + 1] ?? '';
  const link = namespace.links.get(dev);
  if (!link) throw new FakeFailure(1, `Cannot find device "${dev}"\n`);
  const dst = rest.includes('dst') ? (rest[rest.indexOf('dst') + 1] ?? null) : null;
  const self = rest.includes('self') || dst !== null;
  if (!self && link.master === null) throw new FakeFailure(2, 'RTNETLINK answers: Operation not supported\n');
  const matches = (entry: FakeFdbEntry) =>
    entry.dev === dev &&
    entry.mac === mac &&
    entry.self === self &&
    (verb === 'replace' || dst === null || entry.dst === dst);
  if (verb === 'del') {
    if (!namespace.fdb.some(matches))
      throw new FakeFailure(2, 'RTNETLINK answers: No such file or directory\n');
    namespace.fdb = namespace.fdb.filter((entry) => !matches(entry));
    return '';
  }
  if (verb === 'append' && namespace.fdb.some(matches)) return '';
  if (verb === 'add' && namespace.fdb.some(matches))
    throw new FakeFailure(2, 'RTNETLINK answers: File exists\n');
  if (verb === 'replace') namespace.fdb = namespace.fdb.filter((entry) => !matches(entry));
  namespace.fdb.push({ dev, mac, dst, self });
  return '';
}
