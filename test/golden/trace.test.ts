import { describe, expect, it } from 'vitest';
import { checkTrace, problemOfCheck } from '../../agents/transport/validate-trace.js';
import { showCommand } from '../../src/core/trace/commands.js';
import { expectedHops } from '../../src/core/trace/expected.js';
import type { Hop, TraceScene } from '../../src/core/trace/model.js';
import { networkObjects } from '../../src/core/trace/network-objects.js';
import type { TraceCheck } from '../../src/protocol/trace.js';
import { flat, group, id, ids, mac, port, SpecBuilder, vxlan } from '../lab/network-spec.js';

const [PUBLIC, NET, ROUTER, QR, QG, GROUP, GUEST] = ids([1, 2, 5, 6, 7, 8, 0x20]);
const SERVER = id(0xdddd);

interface Wish {
  readonly guestOn?: 'one' | 'two';
  readonly router?: boolean;
  readonly floating?: boolean;
  readonly associated?: boolean;
  readonly address?: string;
  readonly traffic?: Partial<TraceScene['traffic']>;
}

/** A router on host `one`, a guest with a rule for ssh. */
function sceneOf({
  guestOn = 'one',
  router = true,
  floating = true,
  associated = true,
  address = '10.0.0.32',
  traffic = {},
}: Wish): TraceScene {
  const version = address.includes(':') ? 'IPv6' : 'IPv4';
  const one = new SpecBuilder();
  const two = new SpecBuilder();
  const across = guestOn === 'two';
  one.put('network', PUBLIC, flat(PUBLIC));
  one.put('network', NET, {
    ...vxlan(NET, 1001),
    peers: across ? ['192.0.2.2'] : [],
    remote_ports: across ? [{ mac: mac(0x20), vtep: '192.0.2.2' }] : [],
  });
  if (across) {
    two.put('network', NET, {
      ...vxlan(NET, 1001),
      peers: ['192.0.2.1'],
      remote_ports: [{ mac: mac(6), vtep: '192.0.2.1' }],
    });
  }
  if (router) {
    one.put('router', ROUTER, {
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
          mtu: 1450,
          addresses: ['10.0.0.1/24', '2001:db8:1::1/64'],
        },
      ],
      routes: [],
      floating_ips: [
        { id: id(9), floating_ip_address: '203.0.113.50', fixed_ip_address: address, port_id: GUEST },
        { id: id(10), floating_ip_address: '203.0.113.51', fixed_ip_address: '10.0.0.33', port_id: id(11) },
      ],
    });
  }
  const guest = across ? two : one;
  const ssh = {
    id: id(0x30),
    direction: 'ingress',
    ethertype: version,
    protocol: 'tcp',
    port_range_min: 22,
    port_range_max: 22,
    remote_ip_prefix: null,
    remote_group_id: null,
  } as const;
  guest.put('security-group', GROUP, group(GROUP, [ssh]));
  guest.put('port', GUEST, port(GUEST, NET, mac(0x20), [address], [GROUP]));
  return {
    traffic: { protocol: 'tcp', port: 22, from: null, ...traffic },
    floating: floating
      ? {
          id: id(9),
          address: '203.0.113.50',
          fixed: associated ? address : null,
          port_id: associated ? GUEST : null,
          router_id: associated && router ? ROUTER : null,
        }
      : null,
    port: associated
      ? {
          id: GUEST,
          network_id: NET,
          mac: mac(0x20),
          addresses: [address],
          admin_state_up: true,
          host_id: guestOn,
        }
      : null,
    server: associated ? { id: SERVER, name: 'web', status: 'ACTIVE', power: 'running' } : null,
    router: router
      ? { id: ROUTER, name: 'r', host_id: 'one', next_host_id: null, admin_state_up: true }
      : null,
    hosts: new Map([
      ['one', { id: 'one', name: 'one', underlay_ip: '192.0.2.1', spec: one.spec }],
      ['two', { id: 'two', name: 'two', underlay_ip: '192.0.2.2', spec: two.spec }],
    ]),
  };
}

function text(hops: readonly Hop[]): string {
  const lines = hops.map(({ host, what, object, judge }) => {
    const about = `${(host?.name ?? '-').padEnd(4)} ${what}${object ? `  [${object}]` : ''}`;
    if ('verdict' in judge) {
      const { state, detail, show, mend } = judge.verdict;
      return `${about}\n       ${state}: ${detail}\n       # ${show}${mend ? `\n       > ${mend}` : ''}`;
    }
    const { kind, ...rest } = judge.check;
    const shown =
      'router' in rest || kind === 'filter' || kind === 'anti-spoofing' ? '…' : JSON.stringify(rest);
    return `${about}\n       ${kind} ${shown}\n       # ${showCommand(judge.check, 'br-ex')}`;
  });
  return `${lines.join('\n')}\n`;
}

/** What an agent would have against being asked this. */
function problems(checks: readonly TraceCheck[]): (string | null)[] {
  return [checkTrace({ checks, probe: false }), ...checks.map(problemOfCheck)].filter((one) => one !== null);
}

describe('the hops of a way, as the database has them', () => {
  const cases: Readonly<Record<string, Wish>> = {
    'same-host': {},
    'across-hosts': { guestOn: 'two' },
    'no-router': { router: false },
    'port-without-router': { router: false, floating: false },
    unassociated: { associated: false },
    'ipv6-across-hosts': { guestOn: 'two', floating: false, address: '2001:db8:1::20' },
    'nothing-admits': { traffic: { port: 80, from: '198.51.100.7' } },
  };
  it.each(Object.entries(cases))('%s', async (name, wish) => {
    const hops = expectedHops(sceneOf(wish));
    await expect(text(hops)).toMatchFileSnapshot(`trace/${name}.txt`);
    const checks = hops.flatMap(({ judge }) => ('check' in judge ? [judge.check] : []));
    expect(problems(checks)).toEqual([]);
  });

  it('asks of a translation only for the address that is traced', () => {
    const hops = expectedHops(sceneOf({}));
    for (const { judge } of hops) {
      if (!('check' in judge) || judge.check.kind !== 'nat') continue;
      expect(judge.check.router.floating_ips.map((f) => f.floating_ip_address)).toEqual(['203.0.113.50']);
    }
  });

  it('ends where the database has no way on', () => {
    const scene = sceneOf({});
    const last = (more: Partial<TraceScene>) => {
      const { what, judge } = expectedHops({ ...scene, ...more }).at(-1)!;
      return 'verdict' in judge ? `${what} ${judge.verdict.state}: ${judge.verdict.detail}` : what;
    };
    expect(last({ server: null })).toBe(`port fail: port ${GUEST} is plugged into no server`);
    expect(last({ server: { ...scene.server!, status: 'SHUTOFF', power: 'stopped' } })).toContain(
      'is not meant to run',
    );
    expect(last({ port: { ...scene.port!, host_id: null } })).toContain('is on no host');
    expect(last({ port: { ...scene.port!, admin_state_up: false } })).toContain('administratively down');
    expect(last({ router: { ...scene.router!, admin_state_up: false } })).toContain('administratively down');
    expect(last({ router: { ...scene.router!, host_id: null } })).toContain('is on no host');
    expect(last({ router: { ...scene.router!, host_id: 'two' } })).toContain('leaves two');
  });
});

describe('what exists for a network on a host', () => {
  it.each(['one', 'two'])('%s', async (name) => {
    const host = sceneOf({ guestOn: 'two' }).hosts.get(name)!;
    await expect(text(networkObjects(host, NET))).toMatchFileSnapshot(`trace/network-on-${name}.txt`);
  });
  it('with as much to ask of a host, however many other hosts and ports the network has', () => {
    const asked = (hosts: number) => {
      const spec = new SpecBuilder();
      const peers = Array.from({ length: hosts }, (_, n) => `192.0.2.${n + 10}`);
      const remote_ports = Array.from({ length: 50 * hosts }, (_, n) => ({
        mac: mac(n),
        vtep: peers[n % hosts]!,
      }));
      spec.put('network', NET, { ...vxlan(NET, 1001), peers, remote_ports });
      const host = { id: 'one', name: 'one', underlay_ip: '192.0.2.1', spec: spec.spec };
      return networkObjects(host, NET).flatMap(({ judge }) => ('check' in judge ? [judge.check] : []));
    };
    expect(problems(asked(200))).toEqual([]);
    expect(JSON.stringify(asked(200))).toHaveLength(JSON.stringify(asked(2)).length);
  });

  it('of an external network', async () => {
    const host = sceneOf({}).hosts.get('one')!;
    await expect(text(networkObjects(host, PUBLIC))).toMatchFileSnapshot('trace/network-external.txt');
  });
});
