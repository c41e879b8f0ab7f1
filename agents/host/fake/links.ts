import { FakeFailure, type FakeLink, type FakeMachine, type FakeNamespace } from './machine.js';

/** `ip link add`: bridges, tunnels, VLANs and pairs. */
export function addLink(
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
    if (kind === 'vxlan') {
      link.info.port = Number(after(details, 'dstport') ?? 8472);
      link.info.learning = !details.includes('nolearning');
    }
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

/** `ip tuntap add`. */
export function addTap(machine: FakeMachine, namespace: FakeNamespace, words: readonly string[]): string {
  const name = nameIn(words);
  refuseExisting(namespace, name);
  namespace.links.set(name, { ...machine.newLink(name, 'tun') });
  return '';
}

/** `ip link del`: with a device go its entries, its routes and the other end of a pair. */
export function deleteLink(machine: FakeMachine, namespace: FakeNamespace, name: string): string {
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

/** `ip link set`. */
export function setLink(
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

/** A device as `ip -j -d link show` has it. */
export function linkJson(machine: FakeMachine, link: FakeLink, ifindex: number): Record<string, unknown> {
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

/** The addresses of a device as `ip -j addr show` has them. */
export function addressJson(link: FakeLink): unknown[] {
  return [...link.addresses.values()].map(({ family, local, prefix }) => ({
    family: family === 4 ? 'inet' : 'inet6',
    local,
    prefixlen: prefix,
    scope: 'global',
  }));
}

/** The device that words name: after `dev` or `name`, or first. */
export function nameIn(words: readonly string[]): string {
  return after(words, 'name') ?? after(words, 'dev') ?? words[0] ?? '';
}

/** The word after `name`. */
export function after(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

/** The device, or the complaint that there is none. */
export function existing(namespace: FakeNamespace, name: string): FakeLink {
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
