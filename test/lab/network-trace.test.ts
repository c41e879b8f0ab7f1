import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { objectOf } from '../../agents/network/model.js';
import { createNetworkPart, type NetworkPart } from '../../agents/network/part.js';
import { answerTrace, type TraceSources } from '../../agents/network/trace/answer.js';
import { checkTrace, problemOfCheck } from '../../agents/transport/validate-trace.js';
import { MaruError } from '../../src/core/errors.js';
import type { Ask } from '../../src/core/trace/ask.js';
import { expectedHops } from '../../src/core/trace/expected.js';
import type { TraceScene } from '../../src/core/trace/model.js';
import { lookAtHops } from '../../src/core/trace/run.js';
import { type Trace, toTrace } from '../../src/core/trace/trace.js';
import type { ObservedServer } from '../../src/protocol/messages.js';
import { type Machine, NetworkLab } from './network-lab.js';
import { egressAll, flat, group, id, mac, port, rule, SpecBuilder, vxlan } from './network-spec.js';

const PUBLIC = id(1);
const NET = id(2);
const ROUTER = id(5);
const QR = id(6);
const QG = id(7);
const GROUP = id(8);
const SERVER = id(0xdddd);
const GUEST = id(0x20);
const FLOATING = '203.0.113.50';
const FIXED = '10.0.0.32';
const FIXED6 = '2001:db8:1::20';
/** Another guest of the guest's own group. */
const MEMBER = '10.0.0.77';
const SENDER6 = '2001:db8:2::7';
const [QG_DEVICE, GATEWAY_TAP, ROUTER_TAP, GUEST_TAP] = [
  `qg-${QG.slice(0, 11)}`,
  `tap${QG.slice(0, 11)}`,
  `tap${QR.slice(0, 11)}`,
  `tap${GUEST.slice(0, 11)}`,
];
const ROUTER_NS = `qrouter-${ROUTER}`;
const BRIDGE = `brq${NET.slice(0, 11)}`;
const MEMBERS = `maru4-${GROUP.slice(0, 11)}-${NET.slice(0, 11)}`;
const IN_CHAIN = `maru-i${GUEST.slice(0, 11)}`;

class Site {
  readonly spec = new SpecBuilder();
  readonly part: NetworkPart;
  /** The agent answers. */
  away = false;
  /** What virsh would say. */
  guest: ObservedServer | null = { power_state: 'running', launched_at: null };
  /** What the kernel would say of the room for connections: it has one limit for the whole machine, which stays as it is. */
  room: number | null = null;
  /** What the agent holds, where that is not what it should. */
  held = new Map<string, string | null>();

  constructor(
    readonly lab: NetworkLab,
    readonly name: string,
  ) {
    this.part = createNetworkPart(lab.context);
    this.spec.put('network', PUBLIC, flat(PUBLIC));
  }

  /** Puts everything right, as a full synchronisation does. */
  async apply(): Promise<void> {
    const reports = await this.part.apply({ spec: this.spec.spec, changed: null });
    expect(reports.filter(({ state }) => state === 'error')).toEqual([]);
  }

  async hand(command: string, ...args: string[]): Promise<void> {
    await this.lab.host.machine.exec(command, args);
  }

  private crowded(room: number): NetworkLab['host'] {
    const { host } = this.lab;
    const read: typeof host.read = async (command, args, options) => {
      const result = await host.read(command, args, options);
      const stdout = result.stdout.replace(/(nf_conntrack_max = )\d+/, `$1${room}`);
      return command === 'sysctl' ? { ...result, stdout } : result;
    };
    return new Proxy(host, {
      get: (target, name) => {
        if (name === 'read') return read;
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  sources(): TraceSources {
    return {
      context: { ...this.lab.context, host: this.room === null ? this.lab.host : this.crowded(this.room) },
      held: (key) => (this.held.has(key) ? this.held.get(key)! : (this.spec.spec[key]?.revision ?? null)),
      network: (networkId) => objectOf(this.spec.spec, 'network', networkId) ?? null,
      latest: () => undefined,
      guest: async () => this.guest,
    };
  }
}

describe('the trace of a floating IP over two hosts', () => {
  let one: Site;
  let two: Site;
  let outside: Machine;
  let guest: Machine;
  let rules = [...egressAll(), rule('ingress', { protocol: 'tcp', port_range_min: 22, port_range_max: 22 })];
  rules = [...rules, rule('ingress', { protocol: 'icmp' })];
  rules = [...rules, rule('ingress', { protocol: 'icmp', ethertype: 'IPv6' })];
  const http = { protocol: 'tcp', port_range_min: 80, port_range_max: 80, remote_group_id: GROUP } as const;
  rules = [...rules, rule('ingress', http)];

  beforeAll(async () => {
    const [labOne, labTwo] = [await NetworkLab.up('192.0.2.1'), await NetworkLab.up('192.0.2.2')];
    await NetworkLab.join(labOne, labTwo);
    [one, two] = [new Site(labOne, 'one'), new Site(labTwo, 'two')];
    outside = labOne.outside;
    one.spec.put('network', NET, {
      ...vxlan(NET, 1001),
      mtu: 1550,
      peers: ['192.0.2.2'],
      remote_ports: [{ mac: mac(0x20), vtep: '192.0.2.2' }],
    });
    two.spec.put('network', NET, {
      ...vxlan(NET, 1001),
      mtu: 1550,
      peers: ['192.0.2.1'],
      remote_ports: [{ mac: mac(6), vtep: '192.0.2.1' }],
    });
    one.spec.put('router', ROUTER, {
      id: ROUTER,
      epoch: 1,
      admin_state_up: true,
      external: {
        port_id: QG,
        network_id: PUBLIC,
        mac: mac(7),
        mtu: 1500,
        addresses: ['203.0.113.10/24'],
        gateways: ['203.0.113.1'],
        enable_snat: true,
      },
      interfaces: [
        {
          port_id: QR,
          network_id: NET,
          mac: mac(6),
          mtu: 1550,
          addresses: ['10.0.0.1/24', '2001:db8:1::1/64'],
        },
      ],
      routes: [],
      floating_ips: [
        { id: id(9), floating_ip_address: FLOATING, fixed_ip_address: FIXED, port_id: GUEST },
        { id: id(10), floating_ip_address: '203.0.113.51', fixed_ip_address: '10.0.0.33', port_id: id(0x21) },
      ],
    });
    two.spec.put('security-group', GROUP, group(GROUP, rules));
    two.spec.put('port', GUEST, { ...port(GUEST, NET, mac(0x20), [FIXED, FIXED6], [GROUP]), mtu: 1550 });
    two.spec.put('group-members', `${GROUP}:${NET}`, {
      group_id: GROUP,
      network_id: NET,
      ipv4: [FIXED, MEMBER],
      ipv6: [FIXED6],
    });
    guest = await two.lab.guest({ id: GUEST, mac: mac(0x20), mtu: 1550 });
    await Promise.all([one.apply(), two.apply()]);
    await guest.exec('ip', ['addr', 'add', `${FIXED}/24`, 'dev', 'eth0']);
    await guest.exec('ip', ['route', 'add', 'default', 'via', '10.0.0.1']);
  });
  afterAll(async () => {
    await one?.lab.down();
    await two?.lab.down();
  });

  const scene = (traffic: Partial<TraceScene['traffic']> = {}): TraceScene => ({
    traffic: { protocol: 'icmp', port: null, from: '203.0.113.1', ...traffic },
    floating: traffic.from?.includes(':')
      ? null
      : { id: id(9), address: FLOATING, fixed: FIXED, port_id: GUEST, router_id: ROUTER },
    port: {
      id: GUEST,
      network_id: NET,
      mac: mac(0x20),
      addresses: [FIXED, FIXED6],
      admin_state_up: true,
      host_id: 'two',
    },
    server: { id: SERVER, name: 'web', status: 'ACTIVE', power: 'running' },
    router: { id: ROUTER, name: 'r', host_id: 'one', next_host_id: null, admin_state_up: true },
    hosts: new Map(
      [one, two].map(({ name, lab, spec }) => [
        name,
        { id: name, name, underlay_ip: lab.context.config.underlay_ip, spec: spec.spec },
      ]),
    ),
  });

  /** As over the wire: what is asked passes the agent's own validation. */
  const ask: Ask = async (hostId, request) => {
    const site = hostId === 'one' ? one : two;
    if (site.away) {
      throw new MaruError('unavailable', `Host ${hostId} does not answer: refused`, { cause: new Error() });
    }
    const wire = JSON.parse(JSON.stringify(request)) as typeof request;
    expect([checkTrace(wire), ...wire.checks.map(problemOfCheck)].filter((one) => one !== null)).toEqual([]);
    site.lab.host.reset();
    // what a hop looks like does not depend on how long a busy machine takes to look
    const reply = await answerTrace(site.sources(), request, 60_000);
    expect(site.lab.host.runs).toEqual([]);
    return reply;
  };

  const trace = async (probe = false, of = scene()): Promise<Trace> =>
    toTrace(of, await lookAtHops(expectedHops(of), ask, probe));
  const told = ({ hops, broken }: Trace) =>
    broken === null ? 'whole' : `${hops[broken]!.host}: ${hops[broken]!.what}`;

  it('finds nothing broken where the address answers, and with a probe knows every hop', async () => {
    expect(await outside.pings(FLOATING)).toBe(true);
    const found = await trace(true);
    expect(found.hops.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(found.verdict).toMatch(/^Nothing on the way was found broken/);
    expect(found.hops.length).toBeGreaterThan(30);
    for (const { show } of found.hops) expect(show).not.toBe('');
  });

  it('finds nothing broken for a member of a remote group, and by IPv6', async () => {
    const member = await trace(false, scene({ protocol: 'tcp', port: 80, from: MEMBER }));
    expect(told(member)).toBe('whole');
    expect(member.hops.find(({ what }) => what === 'remote group')).toMatchObject({
      state: 'ok',
      detail: `${MEMBER} is in ${MEMBERS}`,
      show: `ipset list ${MEMBERS}`,
    });
    expect(told(await trace(false, scene({ protocol: 'tcp', port: 80, from: '10.0.0.78' })))).toBe(
      'null: security groups',
    );
    const six = await trace(false, scene({ from: SENDER6 }));
    expect(told(six)).toBe('whole');
    expect(six.hops.filter(({ what }) => /IPv6 forwarding|firewall/.test(what))).toMatchObject([
      { host: 'one', state: 'ok', show: `ip netns exec ${ROUTER_NS} ip6tables -S` },
      { host: 'two', state: 'ok', show: expect.stringContaining('ip6tables -S FORWARD') },
    ]);
  });

  const ns = (...args: string[]) => one.hand('ip', 'netns', 'exec', ROUTER_NS, ...args);
  type Fault = readonly [
    name: string,
    hop: string,
    plant: () => Promise<unknown> | unknown,
    mend?: () => Promise<unknown> | unknown,
    options?: { probe?: boolean; traffic?: Partial<TraceScene['traffic']>; mended?: boolean },
  ];
  /** What makes the kernel track a connection. */
  const connection = (protocol: string, to: string, from = '203.0.113.1') => [
    ...['-I', '-p', protocol, '-t', '120', '-s', from, '-d', to, '--sport', '40000', '--dport', '22'],
  ];
  const faults: readonly Fault[] = [
    [
      'the uplink is out of br-ex',
      'one: uplink',
      () => one.hand('ip', 'link', 'set', 'ext0', 'nomaster'),
      () => one.hand('ip', 'link', 'set', 'ext0', 'master', 'br-ex'),
    ],
    [
      'the cable of the uplink is out',
      'one: uplink',
      () => outside.exec('ip', ['link', 'set', 'eth0', 'down']),
      () => outside.exec('ip', ['link', 'set', 'eth0', 'up']),
    ],
    [
      'br-ex is down',
      'one: external bridge',
      () => one.hand('ip', 'link', 'set', 'br-ex', 'down'),
      () => one.hand('ip', 'link', 'set', 'br-ex', 'up'),
    ],
    [
      "the router's namespace is gone",
      "one: router's namespace",
      () => one.hand('ip', 'netns', 'del', ROUTER_NS),
    ],
    [
      'the router does not forward',
      "one: router's namespace",
      () => ns('sysctl', '-q', '-w', 'net.ipv4.ip_forward=0'),
    ],
    [
      'the gateway is out of br-ex',
      "one: gateway's plug",
      () => one.hand('ip', 'link', 'set', GATEWAY_TAP, 'nomaster'),
    ],
    [
      'the gateway is not trusted',
      "one: gateway's port security",
      () => one.hand('nft', 'delete', 'element', 'bridge', 'maru', 'trusted', `{ "${GATEWAY_TAP}" }`),
    ],
    ['the gateway device is down', 'one: gateway device', () => ns('ip', 'link', 'set', QG_DEVICE, 'down')],
    [
      "the router's own address is gone",
      "one: gateway's address",
      () => ns('ip', 'addr', 'del', '203.0.113.10/24', 'dev', QG_DEVICE),
    ],
    [
      'the floating address is gone',
      'one: floating address',
      () => ns('ip', 'addr', 'del', `${FLOATING}/32`, 'dev', QG_DEVICE),
    ],
    ['the default route is gone', 'one: default route', () => ns('ip', 'route', 'del', 'default')],
    [
      'nobody answers for the gateway',
      'one: external gateway',
      async () => {
        await outside.exec('ip', ['addr', 'del', '203.0.113.1/24', 'dev', 'eth0']);
        await ns('ip', 'neigh', 'flush', 'all');
      },
      () => outside.exec('ip', ['addr', 'add', '203.0.113.1/24', 'dev', 'eth0']),
      { probe: true },
    ],
    [
      'the translation inwards is flushed',
      `one: DNAT to ${FIXED}`,
      () => ns('iptables', '-t', 'nat', '-F', 'maru-PREROUTING'),
    ],
    [
      'somebody drops what is forwarded',
      'one: forwarding rules',
      () => ns('iptables', '-I', 'FORWARD', '-j', 'DROP'),
      () => ns('iptables', '-D', 'FORWARD', '-j', 'DROP'),
    ],
    [
      "the router's plug is out of its bridge",
      "one: router's plug",
      () => one.hand('ip', 'link', 'set', ROUTER_TAP, 'nomaster'),
    ],
    [
      'the bridge is down',
      'one: bridge',
      () => one.hand('ip', 'link', 'set', `brq${NET.slice(0, 11)}`, 'down'),
    ],
    ['the tunnel is down', 'one: tunnel', () => one.hand('ip', 'link', 'set', 'vxlan-1001', 'down')],
    [
      'the way to the guest is not known',
      "one: guest's MAC → two",
      () => one.hand('bridge', 'fdb', 'del', mac(0x20), 'dev', 'vxlan-1001', 'dst', '192.0.2.2', 'self'),
    ],
    [
      'the way back to the router is not known',
      "two: router's MAC → one",
      () => two.hand('bridge', 'fdb', 'del', mac(6), 'dev', 'vxlan-1001', 'dst', '192.0.2.1', 'self'),
    ],
    [
      'broadcasts do not reach the other host',
      'one: flooding → two',
      () =>
        one.hand(
          'bridge',
          'fdb',
          'del',
          '00:00:00:00:00:00',
          'dev',
          'vxlan-1001',
          'dst',
          '192.0.2.2',
          'self',
        ),
    ],
    [
      'the MTU between the hosts is too small',
      'one: underlay → two',
      () => one.hand('ip', 'link', 'set', 'underlay', 'mtu', '1500'),
      () => one.hand('ip', 'link', 'set', 'underlay', 'mtu', '1600'),
      { probe: true },
    ],
    ["the guest's tap is down", "two: guest's tap", () => two.hand('ip', 'link', 'set', GUEST_TAP, 'down')],
    [
      "the guest's tap is out of its bridge",
      "two: guest's tap",
      () => two.hand('ip', 'link', 'set', GUEST_TAP, 'nomaster'),
    ],
    [
      'the guest is off',
      'two: guest',
      () => {
        two.guest = { power_state: 'shutdown', launched_at: null };
      },
      () => {
        two.guest = { power_state: 'running', launched_at: null };
      },
    ],
    [
      'bridged packets are kept from iptables',
      'two: firewall',
      () => two.hand('sysctl', '-q', '-w', 'net.bridge.bridge-nf-call-iptables=0'),
    ],
    [
      'the way into our chains is gone',
      'two: firewall',
      () =>
        two.hand('iptables', '-D', 'FORWARD', '-m', 'physdev', '--physdev-is-bridged', '-j', 'maru-FORWARD'),
    ],
    [
      'no rule admits it',
      'null: security groups',
      () => {},
      () => {},
      { traffic: { protocol: 'udp', port: 53 } },
    ],
    [
      'the rule is not on the host',
      'two: security group chains',
      () => two.hand('iptables', '-D', IN_CHAIN, '-p', 'icmp', '-j', 'ACCEPT'),
    ],
    [
      'somebody put a rule of his own before ours',
      'two: security group chains',
      () => two.hand('iptables', '-I', IN_CHAIN, '-s', '203.0.113.0/24', '-j', 'DROP'),
    ],
    [
      "the guest's address may not be used",
      'two: anti-spoofing',
      () => two.hand('nft', 'flush', 'set', 'bridge', 'maru', 'src4'),
    ],
    [
      'the guest has another address',
      'one: guest answers',
      async () => {
        await guest.exec('ip', ['addr', 'flush', 'dev', 'eth0']);
        await ns('ip', 'neigh', 'flush', 'all');
      },
      async () => {
        await guest.exec('ip', ['addr', 'add', `${FIXED}/24`, 'dev', 'eth0']);
        await guest.exec('ip', ['route', 'add', 'default', 'via', '10.0.0.1']);
      },
      { probe: true },
    ],
    [
      'the sender is not in the set of its group',
      'two: remote group',
      () => two.hand('ipset', 'del', MEMBERS, MEMBER),
      () => {},
      { traffic: { protocol: 'tcp', port: 80, from: MEMBER } },
    ],
    [
      'a member is missing in the set of a remote group',
      'two: remote group',
      () => two.hand('ipset', 'flush', MEMBERS),
      () => {},
      { traffic: { protocol: 'tcp', port: 80, from: null } },
    ],
    [
      'the bridge is tracked in the zone of another network',
      'two: connection tracking',
      async () => {
        await two.hand('nft', 'delete', 'element', 'inet', 'maru', 'zones', `{ "${BRIDGE}" }`);
        await two.hand('nft', 'add', 'element', 'inet', 'maru', 'zones', `{ "${BRIDGE}" : 77 }`);
      },
    ],
    [
      'the bridge has no zone',
      'two: connection tracking',
      () => two.hand('nft', 'delete', 'element', 'inet', 'maru', 'zones', `{ "${BRIDGE}" }`),
    ],
    [
      'a connection is tracked in a zone of no network',
      'two: connection tracking',
      () => two.hand('conntrack', ...connection('tcp', FIXED), '--state', 'ESTABLISHED', '-w', '77'),
      () => two.hand('conntrack', '-D', '-w', '77'),
      { mended: true },
    ],
    [
      "the table of the guest's host is full",
      'two: connection tracking',
      async () => {
        await two.hand('conntrack', ...connection('udp', '198.51.100.9'));
        two.room = 1;
      },
      () => {
        two.room = null;
      },
      { mended: true },
    ],
    [
      "the table of the router's namespace is full",
      "one: router's connections",
      async () => {
        await ns('conntrack', ...connection('udp', '198.51.100.9'));
        one.room = 1;
      },
      () => {
        one.room = null;
      },
      { mended: true },
    ],
    [
      'a connection still goes to whom the floating IP was with before',
      "one: router's connections",
      () => ns('conntrack', ...connection('udp', FLOATING), '--dst-nat', '10.0.0.99'),
      () => ns('conntrack', '-D', '-d', FLOATING),
      { mended: true },
    ],
    [
      'a connection of another guest still leaves as the floating IP',
      "one: router's connections",
      () => ns('conntrack', ...connection('udp', '198.51.100.9', '10.0.0.99'), '--src-nat', FLOATING),
      () => ns('conntrack', '-D', '-s', '10.0.0.99'),
      { mended: true },
    ],
    [
      'somebody drops IPv6 in the router',
      'one: IPv6 forwarding rules',
      () => ns('ip6tables', '-I', 'FORWARD', '-d', `${FIXED6}/128`, '-j', 'DROP'),
      () => ns('ip6tables', '-F', 'FORWARD'),
      { traffic: { from: SENDER6 }, mended: true },
    ],
    [
      'the router passes no IPv6 on by default',
      'one: IPv6 forwarding rules',
      () => ns('ip6tables', '-P', 'FORWARD', 'DROP'),
      () => ns('ip6tables', '-P', 'FORWARD', 'ACCEPT'),
      { traffic: { from: SENDER6 }, mended: true },
    ],
    [
      'the router does not forward IPv6',
      'one: IPv6 forwarding rules',
      () => ns('sysctl', '-q', '-w', 'net.ipv6.conf.all.forwarding=0'),
      () => ns('sysctl', '-q', '-w', 'net.ipv6.conf.all.forwarding=1'),
      { traffic: { from: SENDER6 }, mended: true },
    ],
    [
      'the way into our chains is gone for IPv6',
      'two: firewall',
      () =>
        two.hand('ip6tables', '-D', 'FORWARD', '-m', 'physdev', '--physdev-is-bridged', '-j', 'maru-FORWARD'),
      () => {},
      { traffic: { from: SENDER6 } },
    ],
    [
      'the translation outwards is flushed',
      `one: SNAT to ${FLOATING}`,
      () => ns('iptables', '-t', 'nat', '-F', 'maru-float-snat'),
    ],
    [
      "the router's host does not answer",
      "one: router's host",
      () => {
        one.away = true;
      },
      () => {
        one.away = false;
      },
    ],
    [
      "the guest's host does not answer",
      "two: guest's host",
      () => {
        two.away = true;
      },
      () => {
        two.away = false;
      },
    ],
    [
      'the agent has not been told of the port',
      "two: guest's host",
      () => two.held.set(`port/${GUEST}`, null),
      () => two.held.clear(),
    ],
  ];

  for (const [name, hop, plant, mend, { probe = false, traffic = {}, mended = false } = {}] of faults) {
    it(`names the hop when ${name}`, async () => {
      await plant();
      try {
        const found = await trace(probe, scene(traffic));
        expect(told(found), JSON.stringify(found.hops.filter(({ state }) => state === 'fail'))).toBe(hop);
        expect(found.verdict).toContain('To mend it: ');
      } finally {
        await mend?.();
        // what the agent has no part in is right again
        if (!mended && hop.startsWith('one')) await one.apply();
        if (!mended && hop.startsWith('two')) await two.apply();
      }
    });
  }

  it('has the address answer again after all that', async () => {
    expect(await outside.pings(FLOATING)).toBe(true);
    expect(told(await trace(true))).toBe('whole');
  });

  it('finds in the whole of a tunnel the one entry that is missing', async () => {
    const network = { id: NET, type: 'vxlan', physical_network: null, segmentation_id: 1001 } as const;
    const look = async () =>
      (await ask('one', { checks: [{ kind: 'fdb-table', network }], probe: false })).findings[0];
    expect(await look()).toEqual({
      state: 'ok',
      detail: 'vxlan-1001 floods to 1 host(s), and knows 1 MAC(s) there',
    });
    await one.hand('bridge', 'fdb', 'del', mac(0x20), 'dev', 'vxlan-1001', 'dst', '192.0.2.2', 'self');
    expect(await look()).toMatchObject({ state: 'fail', detail: `vxlan-1001 has no entry for ${mac(0x20)}` });
    await one.apply();
    expect((await look())?.state).toBe('ok');
  });

  it('says what it could not find out in time, and nothing else', async () => {
    const checks = expectedHops(scene()).flatMap(({ host, judge }) =>
      host?.id === 'one' && 'check' in judge ? [judge.check] : [],
    );
    const slow = new Proxy(one.lab.host, {
      get: (target, name) =>
        name === 'read' ? () => new Promise(() => {}) : Reflect.get(target, name, target),
    });
    const sources = { ...one.sources(), context: { ...one.lab.context, host: slow } };
    const { findings } = await answerTrace(sources, { checks, probe: false }, 300);
    expect(findings.map(({ state }) => state)).toEqual(['ok', ...checks.slice(1).map(() => 'unknown')]);
  });
});
