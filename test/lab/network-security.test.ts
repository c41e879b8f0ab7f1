import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetworkPart } from '../../agents/network/part.js';
import type { Part } from '../../agents/part.js';
import type { ObjectBodies, ObjectKey } from '../../src/protocol/objects.js';
import { type Machine, NetworkLab } from './network-lab.js';
import { egressAll, flat, group, id, ids, mac, port, rule, SpecBuilder, vxlan } from './network-spec.js';
import { Connection, connects, connectsInVain, sendFrame, startEcho } from './network-traffic.js';

const [NET_A, NET_B, OPEN, CLOSED, MEMBERS] = ids([0xa, 0xb, 0x51, 0x52, 0x53]);
const [A1, A2, B1, B2] = [0xa1, 0xa2, 0xb1, 0xb2] as const;

describe('security of two networks with the same addresses', () => {
  let lab: NetworkLab;
  let part: Part;
  const guests = new Map<number, Machine>();
  const spec = new SpecBuilder();

  const guest = (n: number) => guests.get(n)!;
  const apply = async (...changed: ObjectKey[]) => {
    const reports = await part.apply({ spec: spec.spec, changed: changed.length ? new Set(changed) : null });
    expect(reports.filter((report) => report.state === 'error')).toEqual([]);
  };
  const putPort = (n: number, groups: string[], more: Partial<ObjectBodies['port']> = {}) => {
    const [network, ip] = n < 0xb0 ? [NET_A, `10.0.0.${n & 15}`] : [NET_B, `10.0.0.${n & 15}`];
    return spec.put('port', id(n), { ...port(id(n), network, mac(n), [ip], groups), ...more });
  };
  const putGroup = (groupId: string, ...rules: ReturnType<typeof rule>[]) =>
    spec.put('security-group', groupId, group(groupId, [...egressAll(), ...rules]));
  const putMembers = (...ipv4: string[]) =>
    spec.put('group-members', `${MEMBERS}:${NET_A}`, {
      group_id: MEMBERS,
      network_id: NET_A,
      ipv4,
      ipv6: [],
    });
  const sysctl = (setting: string) => lab.host.machine.exec('sysctl', ['-q', '-w', setting]);

  beforeAll(async () => {
    lab = await NetworkLab.up();
    part = createNetworkPart(lab.context);
    spec.put('network', NET_A, vxlan(NET_A, 10));
    spec.put('network', NET_B, vxlan(NET_B, 11));
    putGroup(OPEN, rule('ingress'));
    putGroup(CLOSED);
    for (const n of [A1, A2, B1, B2]) {
      guests.set(n, await lab.guest({ id: id(n), mac: mac(n), mtu: 1450 }));
      putPort(n, n === A1 ? [CLOSED] : [OPEN]);
      await guest(n).exec('ip', ['addr', 'add', `10.0.0.${n & 15}/24`, 'dev', 'eth0']);
    }
    await apply();
    for (const n of [A1, A2, B1, B2]) await startEcho(guest(n), 80);
  });
  afterAll(() => lab?.down());

  it('keeps networks with equal addresses apart', async () => {
    expect(await connects(guest(B2), '10.0.0.1', 80)).toBe(true);
    expect(await connectsInVain(guest(A2), '10.0.0.1', 80)).toBe(true);
    expect(await connects(guest(A1), '10.0.0.2', 80)).toBe(true);
    const { stdout } = await lab.host.machine.exec('conntrack', ['-L', '-o', 'extended']);
    const web = stdout.split('\n').filter((line) => line.includes('dport=80 '));
    expect(web.every((line) => /zone=\d+/.test(line))).toBe(true);
    expect(new Set(web.map((line) => /zone=\d+/.exec(line)?.[0])).size).toBe(2);
  });

  it('cuts the connection that a removed rule had allowed, and no other', async () => {
    const web = rule('ingress', { protocol: 'tcp', port_range_min: 80, port_range_max: 80 });
    const alt = rule('ingress', { protocol: 'tcp', port_range_min: 8080, port_range_max: 8090 });
    await startEcho(guest(A1), 8080);
    await apply(putGroup(CLOSED, web, alt));
    const [first, second] = [
      await Connection.open(guest(A2), '10.0.0.1', 80),
      await Connection.open(guest(A2), '10.0.0.1', 8080),
    ];
    expect([await first.echoes(), await second.echoes()]).toEqual([true, true]);
    await apply(putGroup(CLOSED, alt));
    expect([await first.isCut(), await second.echoes()]).toEqual([true, true]);
    expect(await first.isCut()).toBe(true);
    first.close();
    second.close();
  });

  it('follows the members of a remote group', async () => {
    const remote = rule('ingress', { protocol: 'tcp', remote_group_id: MEMBERS });
    await apply(putGroup(CLOSED, remote), putMembers());
    expect(await connectsInVain(guest(A2), '10.0.0.1', 80)).toBe(true);
    lab.host.reset();
    await apply(putMembers('10.0.0.2'));
    expect(lab.host.runs.map((run) => run.split('\n')[0])).toEqual([
      expect.stringMatching(/^ipset restore.* add maru4-/),
    ]);
    const connection = await Connection.open(guest(A2), '10.0.0.1', 80);
    expect(await connection.echoes()).toBe(true);
    await apply(putMembers('10.0.0.3'));
    expect(await connection.isCut()).toBe(true);
    connection.close();
    await apply(putGroup(CLOSED), spec.drop(`group-members/${MEMBERS}:${NET_A}`));
    expect((await lab.host.machine.exec('ipset', ['list', '-n'])).stdout).toBe('');
  });

  it('drops forged senders, and what only a server may send', async () => {
    await apply(putGroup(CLOSED, rule('ingress')));
    // who is where: how sure the kernel is of it changes by itself
    const neighbours = async () =>
      [...(await guest(A1).exec('ip', ['-4', 'neigh', 'show'])).stdout.matchAll(/^(\S+) .*lladdr (\S+)/gm)]
        .map(([, address, lladdr]) => `${address} ${lladdr}`)
        .sort();
    const dropped = async () => {
      const chain = await lab.host.machine.exec('nft', ['list', 'chain', 'bridge', 'maru', 'from_port']);
      return Number(chain.stdout.match(/ether type arp counter packets (\d+)/)?.[1]);
    };
    const before = { neighbours: await neighbours(), dropped: await dropped() };
    const head = (source: number) => `ffffffffffff ${mac(source)} 0806 0001 0800 06 04 0001`;
    // who has 10.0.0.1, tell 10.0.0.9: from an address that is not the port's, and from another port's MAC
    await sendFrame(guest(A2), `${head(A2)} ${mac(A2)} 0a000009 000000000000 0a000001`);
    await sendFrame(guest(A2), `${head(0x99)} ${mac(0x99)} 0a000002 000000000000 0a000001`);
    // a tagged frame, and one to the bridge group address
    await sendFrame(
      guest(A2),
      `ffffffffffff ${mac(A2)} 8100 0005 0806 0001 0800 06 04 0001 ${mac(A2)} 0a000002 000000000000 0a000001`,
    );
    await expect.poll(dropped).toBe(before.dropped + 2);
    expect(await neighbours()).toEqual(before.neighbours);
    const fdb = await lab.host.machine.exec('bridge', ['fdb', 'show']);
    expect(fdb.stdout).not.toContain(mac(0x99));
    expect(await guest(A2).pings('10.0.0.1')).toBe(true);
  });

  it('allows an address pair while it is there', async () => {
    await guest(A2).exec('ip', ['addr', 'add', '10.0.0.200/24', 'dev', 'eth0']);
    expect(await guest(A2).pingsInVain('10.0.0.1', '-I', '10.0.0.200')).toBe(true);
    const pair = { ip_address: '10.0.0.192/27', mac_address: mac(A2) };
    await apply(putPort(A2, [OPEN], { allowed_address_pairs: [pair] }));
    expect(await guest(A2).pings('10.0.0.1', '-I', '10.0.0.200')).toBe(true);
    // a block around the fixed address: the set takes no overlapping elements
    await apply(putPort(A2, [OPEN], { allowed_address_pairs: [{ ...pair, ip_address: '0.0.0.0/0' }] }));
    expect(await guest(A2).pings('10.0.0.1', '-I', '10.0.0.200')).toBe(true);
    expect(await part.plan(spec.spec)).toEqual([]);
    await apply(putPort(A2, [OPEN]));
    expect(await guest(A2).pingsInVain('10.0.0.1', '-I', '10.0.0.200')).toBe(true);
    await guest(A2).exec('ip', ['addr', 'del', '10.0.0.200/24', 'dev', 'eth0']);
  });

  it('lets a port without port security send anything, and closes one that is down', async () => {
    await guest(A2).exec('ip', ['addr', 'add', '10.0.0.77/24', 'dev', 'eth0']);
    await apply(putPort(A2, [], { port_security: false }));
    expect(await guest(A2).pings('10.0.0.1', '-I', '10.0.0.77')).toBe(true);
    await guest(A2).exec('ip', ['addr', 'del', '10.0.0.77/24', 'dev', 'eth0']);
    await apply(putPort(A2, [OPEN], { admin_state_up: false }));
    expect(await guest(A2).pingsInVain('10.0.0.1')).toBe(true);
    await apply(putPort(A2, [OPEN]));
    expect(await guest(A2).pings('10.0.0.1')).toBe(true);
  });

  it('stops everything when iptables is bypassed, and repairs it', async () => {
    await sysctl('net.bridge.bridge-nf-call-iptables=0');
    expect(await guest(A2).pingsInVain('10.0.0.1')).toBe(true);
    expect((await part.plan(spec.spec)).map((step) => step.detail)).toEqual([
      'net.bridge.bridge-nf-call-iptables=1',
    ]);
    await apply();
    expect(await guest(A2).pings('10.0.0.1')).toBe(true);
    await lab.host.machine.exec('iptables', ['-F']);
    expect(await guest(A2).pingsInVain('10.0.0.1')).toBe(true);
    await apply();
    expect(await guest(A2).pings('10.0.0.1')).toBe(true);
    expect(await part.plan(spec.spec)).toEqual([]);
  });

  it('repairs what was changed by hand', async () => {
    const { machine } = lab.host;
    await machine.exec('nft', ['delete', 'table', 'bridge', 'maru']);
    await machine.exec('bridge', ['fdb', 'del', mac(A1), 'dev', `tap${id(A1).slice(0, 11)}`, 'master']);
    await machine.exec('ip', [
      'link',
      'set',
      `tap${id(A1).slice(0, 11)}`,
      'type',
      'bridge_slave',
      'learning',
      'on',
    ]);
    await machine.exec('ip', ['link', 'set', 'vxlan-10', 'mtu', '1300']);
    await machine.exec('ip', ['link', 'del', 'vxlan-11']);
    await machine.exec('iptables', ['-I', 'FORWARD', '1', '-j', 'ACCEPT']);
    await machine.exec('iptables', ['-A', `maru-i${id(A1).slice(0, 11)}`, '-j', 'ACCEPT']);
    const plan = await part.plan(spec.spec);
    expect(plan.length).toBeGreaterThan(5);
    await apply();
    expect(await part.plan(spec.spec)).toEqual([]);
    expect(await guest(A2).pings('10.0.0.1')).toBe(true);
    expect((await machine.exec('iptables', ['-S', 'FORWARD'])).stdout.split('\n').slice(1, 3)).toEqual([
      '-A FORWARD -m physdev --physdev-is-bridged -j maru-FORWARD',
      '-A FORWARD -j ACCEPT',
    ]);
    await machine.exec('iptables', ['-D', 'FORWARD', '-j', 'ACCEPT']);
  });

  it('keeps one broken object from holding up the others', async () => {
    const [flatId, lost, bad] = [id(0xf1), id(0xf2), id(0xf3)];
    spec.put('network', flatId, { ...flat(flatId), physical_network: 'nowhere' });
    spec.put('port', lost, port(lost, id(0xfff), mac(0xf2), ['10.9.9.9'], []));
    putGroup(bad, rule('ingress', { protocol: 'nosuch' }));
    spec.put('port', bad, port(bad, NET_A, mac(0xf3), ['10.0.0.30'], [bad]));
    putPort(A1, [OPEN]);
    const reports = await part.apply({ spec: spec.spec, changed: null });
    const errors = reports.filter((report) => report.state === 'error');
    expect(errors.map((report) => report.key).sort()).toEqual(
      [`network/${flatId}`, `port/${lost}`, `port/${bad}`].sort(),
    );
    expect(errors.find((report) => report.key === `network/${flatId}`)?.error?.message).toContain(
      "'nowhere'",
    );
    expect(errors.find((report) => report.key === `port/${bad}`)?.error?.message).toContain("'nosuch'");
    expect(await guest(A2).pings('10.0.0.1')).toBe(true);
    await apply(
      ...([`network/${flatId}`, `port/${lost}`, `port/${bad}`, `security-group/${bad}`] as const).map((k) =>
        spec.drop(k),
      ),
    );
  });

  it('makes real taps, closed, and leaves one alone while a process holds it', async () => {
    const n = 0xa9;
    const tap = `tap${id(n).slice(0, 11)}`;
    const key = putPort(n, [OPEN]);
    await apply(key);
    const { stdout } = await lab.host.machine.exec('ip', ['-d', 'link', 'show', tap]);
    expect(stdout).toMatch(/tun type tap pi off vnet_hdr on persist on/);
    expect(stdout).toMatch(/mtu 1450 .*master brq0000000a-00/);
    const holder = lab.host.machine.start('python3', ['-u', '-c', HOLD_TAP, tap]);
    await new Promise((resolve) => holder.stdout?.once('data', resolve));
    spec.drop(key);
    const held = await part.apply({ spec: spec.spec, changed: new Set([key]) });
    expect(held).toMatchObject([
      { key, state: 'error', error: { message: expect.stringContaining('running guest') } },
    ]);
    const ready = await lab.host.machine.exec('nft', ['list', 'set', 'bridge', 'maru', 'ready']);
    expect(ready.stdout).not.toContain(tap);
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('exit', resolve));
    expect(await part.apply({ spec: spec.spec, changed: new Set([key]) })).toEqual([
      { key, revision: null, state: 'gone' },
    ]);
    expect(await lab.host.machine.succeeds('ip', ['link', 'show', tap])).toBe(false);
  });

  it('removes a port only when its key is among the changed ones', async () => {
    const n = 0xa8;
    const key = putPort(n, [OPEN]);
    await apply(key);
    spec.drop(key);
    await apply(putGroup(OPEN, rule('ingress')));
    expect(await lab.host.machine.succeeds('ip', ['link', 'show', `tap${id(n).slice(0, 11)}`])).toBe(true);
    await apply(key);
    expect(await lab.host.machine.succeeds('ip', ['link', 'show', `tap${id(n).slice(0, 11)}`])).toBe(false);
  });
});

const HOLD_TAP = `
import fcntl, struct, sys, time
f = open('/dev/net/tun', 'r+b', buffering=0)
fcntl.ioctl(f, 0x400454ca, struct.pack('16sH22x', sys.argv[1].encode(), 0x0002 | 0x1000 | 0x4000))
print('held'); time.sleep(600)
`;
