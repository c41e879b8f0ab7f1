import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetworkPart } from '../../agents/network/part.js';
import type { Part } from '../../agents/part.js';
import { eui64Address } from '../../src/net/mac.js';
import type { ObjectBodies, ObjectKey } from '../../src/protocol/objects.js';
import { type Machine, NetworkLab } from './network-lab.js';
import {
  egressAll,
  flat,
  group,
  id,
  ids,
  mac,
  port,
  router,
  rule,
  SpecBuilder,
  subnet,
  vxlan,
} from './network-spec.js';
import { Connection, connects, startEcho } from './network-traffic.js';

const [PUBLIC, NET, SUB4, SUB6, DHCP_PORT, ROUTER, QR, QG, GROUP] = ids([1, 2, 3, 0x33, 4, 5, 6, 7, 8]);
const [ONE, TWO] = [0x10, 0x20] as const;
const [FIP1, FIP2] = ['203.0.113.51', '203.0.113.52'];
const PREFIX = '2001:db8:1::/64';

describe('DHCP, floating IPs and IPv6', () => {
  let lab: NetworkLab;
  let part: Part;
  let one: Machine;
  let two: Machine;
  const spec = new SpecBuilder();

  const apply = async (...changed: ObjectKey[]) => {
    const reports = await part.apply({ spec: spec.spec, changed: changed.length ? new Set(changed) : null });
    expect(reports.filter((report) => report.state === 'error')).toEqual([]);
  };
  const putDhcp = (
    more: Partial<ObjectBodies['dhcp']['subnets'][number]>,
    ...ports: [number, string, string?][]
  ) =>
    spec.put('dhcp', NET, {
      network_id: NET,
      port_id: DHCP_PORT,
      mac: mac(4),
      addresses: ['10.0.0.2/24', '2001:db8:1::2/64'],
      mtu: 1450,
      dns_domain: 'cloud.example.',
      subnets: [
        { ...subnet(SUB4, '10.0.0.0/24', '10.0.0.1'), ...more },
        {
          ...subnet(SUB6, PREFIX, '2001:db8:1::1'),
          ipv6_ra_mode: 'slaac' as const,
          ipv6_address_mode: 'slaac' as const,
        },
      ],
      reservations: ports.map(([n, ip_address, bootfile]) => ({
        port_id: id(n),
        mac: mac(n),
        hostname: `host-${n}`,
        fixed_ips: [{ subnet_id: SUB4, ip_address }],
        extra_dhcp_opts: bootfile
          ? [{ opt_name: 'bootfile-name', opt_value: bootfile, ip_version: 4 as const }]
          : [],
      })),
    });
  const putRouter = (
    floating: Readonly<Record<string, string>>,
    more: Partial<ObjectBodies['router']> = {},
  ) =>
    spec.put('router', ROUTER, {
      ...router(
        ROUTER,
        { qg: QG, network: PUBLIC },
        { qr: QR, network: NET, addresses: ['10.0.0.1/24', '2001:db8:1::1/64'] },
      ),
      floating_ips: Object.entries(floating).map(([floating_ip_address, fixed_ip_address]) => ({
        id: id(0xf0),
        floating_ip_address,
        fixed_ip_address,
        port_id: id(ONE),
      })),
      ...more,
    });

  beforeAll(async () => {
    lab = await NetworkLab.up();
    part = createNetworkPart(lab.context);
    spec.put('network', PUBLIC, flat(PUBLIC));
    spec.put('network', NET, vxlan(NET, 1001));
    putDhcp({}, [ONE, '10.0.0.5', 'pxelinux.0'], [TWO, '10.0.0.6']);
    const everything = [rule('ingress'), rule('ingress', { ethertype: 'IPv6' })];
    spec.put('security-group', GROUP, group(GROUP, [...egressAll(), ...everything]));
    for (const n of [ONE, TWO]) {
      const ips = [`10.0.0.${n === ONE ? 5 : 6}`, eui64Address(PREFIX, mac(n))];
      spec.put('port', id(n), port(id(n), NET, mac(n), ips, [GROUP]));
    }
    putRouter({});
    one = await lab.guest({ id: id(ONE), mac: mac(ONE), mtu: 1450 });
    two = await lab.guest({ id: id(TWO), mac: mac(TWO), mtu: 1450 });
    await apply();
    await startEcho(one, 80);
    await startEcho(two, 80);
    await startEcho(lab.outside, 80);
  });
  afterAll(() => lab?.down());

  it('serves options of the subnet and of the port', async () => {
    expect(await lab.dhcp(one)).toMatchObject({
      ip: '10.0.0.5',
      bootfile: 'pxelinux.0',
      domain: 'cloud.example',
    });
    expect((await lab.dhcp(two)).boot_file ?? '').toBe('');
    await apply(
      putDhcp(
        {
          dns_nameservers: ['192.0.2.53'],
          host_routes: [{ destination: '192.0.2.0/24', nexthop: '10.0.0.9' }],
        },
        [ONE, '10.0.0.5'],
        [TWO, '10.0.0.6'],
      ),
    );
    const lease = await lab.dhcp(two);
    expect(lease.dns).toBe('192.0.2.53');
    expect(lease.staticroutes).toBe('192.0.2.0/24 10.0.0.9 169.254.169.254/32 10.0.0.2 0.0.0.0/0 10.0.0.1');
    await two.exec('ip', ['route', 'del', '192.0.2.0/24']);
    const { stdout } = await one.exec('busybox', ['nslookup', 'host-32.cloud.example', '10.0.0.2']);
    expect(stdout).toContain('10.0.0.6');
  });

  it('gives a freed address to the next port at once, without losing the others', async () => {
    const pid = () => lab.host.readFile(`${lab.context.config.state_dir}/dhcp/${NET}/pid`);
    const before = await pid();
    await apply(putDhcp({}, [ONE, '10.0.0.5'], [TWO, '10.0.0.7']));
    expect(await pid()).not.toBe(before);
    const key = spec.put(
      'port',
      id(TWO),
      port(id(TWO), NET, mac(TWO), ['10.0.0.7', eui64Address(PREFIX, mac(TWO))], [GROUP]),
    );
    await apply(key);
    await two.exec('ip', ['-4', 'addr', 'flush', 'dev', 'eth0']);
    expect((await lab.dhcp(two)).ip).toBe('10.0.0.7');
    const later = await pid();
    await apply(putDhcp({}, [ONE, '10.0.0.5'], [TWO, '10.0.0.7'], [0x30, '10.0.0.6']));
    expect(await pid()).toBe(later);
  });

  it('starts nothing again when the agent starts again', async () => {
    part = createNetworkPart(lab.context);
    lab.host.reset();
    await apply();
    expect(lab.host.runs).toEqual([]);
  });

  it('starts dnsmasq again when it died', async () => {
    const pid = Number(await lab.host.readFile(`${lab.context.config.state_dir}/dhcp/${NET}/pid`));
    lab.host.kill(pid, 'SIGKILL');
    // a process that ends loses its command line first
    await expect.poll(async () => (await part.plan(spec.spec)).map((step) => step.action)).toEqual(['start']);
    await apply();
    expect((await lab.dhcp(one)).ip).toBe('10.0.0.5');
  });

  it('moves a floating IP: old connections end, the new guest answers at once', async () => {
    await apply(putRouter({ [FIP1]: '10.0.0.5' }));
    const connection = await Connection.open(lab.outside, FIP1, 80);
    expect(await connection.echoes()).toBe(true);
    await apply(putRouter({ [FIP1]: '10.0.0.7' }));
    expect(await connection.isCut()).toBe(true);
    connection.close();
    expect(await connects(lab.outside, FIP1, 80)).toBe(true);
  });

  it('does not answer for a floating IP itself while its translation is not there', async () => {
    const untranslated = ['dev', `qg-${QG.slice(0, 11)}`];
    const router = (...words: string[]) => lab.host.machine.exec('ip', ['-n', `qrouter-${ROUTER}`, ...words]);
    await router('address', 'add', '203.0.113.53/32', ...untranslated);
    try {
      expect(await lab.outside.pingsInVain('203.0.113.53')).toBe(true);
      expect(await lab.outside.pings('203.0.113.10')).toBe(true);
    } finally {
      await router('address', 'delete', '203.0.113.53/32', ...untranslated);
    }
  });

  it('announces a floating IP to those who knew it elsewhere', async () => {
    await lab.outside.exec('ip', [
      'neigh',
      'replace',
      FIP2,
      'lladdr',
      mac(0xee),
      'dev',
      'eth0',
      'nud',
      'reachable',
    ]);
    await apply(putRouter({ [FIP1]: '10.0.0.7', [FIP2]: '10.0.0.5' }));
    // nothing but the announcement can tell: nobody has asked yet
    await expect
      .poll(async () => (await lab.outside.exec('ip', ['neigh', 'show', FIP2])).stdout)
      .toContain(mac(7));
    expect(await lab.outside.pings(FIP2)).toBe(true);
  });

  it('uses the right source: floating IP, router, or the guest itself inside', async () => {
    const sourceOf = async (guest: Machine, address: string) => {
      const connection = await Connection.open(guest, address, 80);
      const source = await connection.seenAs();
      connection.close();
      return source;
    };
    expect(await sourceOf(one, '203.0.113.1')).toBe(FIP2);
    expect(await sourceOf(one, FIP1)).toBe(FIP2);
    await apply(putRouter({ [FIP1]: '10.0.0.7' }));
    expect(await sourceOf(one, '203.0.113.1')).toBe('203.0.113.10');
    expect(await sourceOf(one, FIP1)).toBe('203.0.113.10');
  });

  it('routes without translation when SNAT is off', async () => {
    await lab.outside.exec('ip', ['route', 'replace', '10.0.0.0/24', 'via', '203.0.113.10']);
    expect(await lab.outside.pingsInVain('10.0.0.5')).toBe(true);
    const { external } = spec.spec[`router/${ROUTER}`]!.body as ObjectBodies['router'];
    await apply(putRouter({}, { external: { ...external!, enable_snat: false } }));
    expect(await lab.outside.pings('10.0.0.5')).toBe(true);
    await apply(putRouter({}));
    expect(await lab.outside.pingsInVain('10.0.0.5')).toBe(true);
  });

  it('sets extra routes, and says which one cannot be', async () => {
    await apply(putRouter({}, { routes: [{ destination: '198.51.100.0/24', nexthop: '10.0.0.7' }] }));
    const routes = () => lab.host.machine.exec('ip', ['-n', `qrouter-${ROUTER}`, 'route']);
    expect((await routes()).stdout).toContain('198.51.100.0/24 via 10.0.0.7');
    const key = putRouter({}, { routes: [{ destination: '198.51.100.0/24', nexthop: '10.7.7.7' }] });
    const [report] = await part.apply({ spec: spec.spec, changed: new Set([key]) });
    expect(report).toMatchObject({
      key,
      state: 'error',
      error: { message: expect.stringContaining('10.7.7.7') },
    });
    expect((await routes()).stdout).not.toContain('198.51.100.0/24');
    await apply(putRouter({}));
    expect(await one.pings('203.0.113.1')).toBe(true);
  });

  it('gives IPv6 addresses by router advertisements, and filters IPv6 as IPv4', async () => {
    const addresses = [ONE, TWO].map((n) => eui64Address(PREFIX, mac(n)));
    for (const [index, guest] of [one, two].entries()) {
      await guest.exec('ip', ['link', 'set', 'eth0', 'down']);
      await guest.exec('ip', ['link', 'set', 'eth0', 'up']);
      await expect
        .poll(async () => (await guest.exec('ip', ['-6', 'addr'])).stdout)
        .toContain(addresses[index]);
    }
    expect((await one.exec('ip', ['-6', 'route', 'show', 'default'])).stdout).toContain('via fe80::');
    await expect.poll(() => two.pings(addresses[0]!)).toBe(true);
    expect(await two.pings('2001:db8:1::1')).toBe(true);
    await apply(spec.put('security-group', GROUP, group(GROUP, egressAll())));
    expect(await two.pingsInVain(addresses[0]!)).toBe(true);
    expect(await two.pings('2001:db8:1::1')).toBe(true);
    await two.exec('ip', ['addr', 'add', '2001:db8:1::bad/64', 'dev', 'eth0', 'nodad']);
    expect(await two.pingsInVain('2001:db8:1::1', '-I', '2001:db8:1::bad')).toBe(true);
  });

  it('takes a router down and brings it back', async () => {
    await apply(putRouter({}, { admin_state_up: false }));
    expect(await lab.host.machine.succeeds('ip', ['-n', `qrouter-${ROUTER}`, 'link'])).toBe(false);
    await apply(putRouter({}));
    expect(await lab.host.machine.succeeds('ip', ['-n', `qrouter-${ROUTER}`, 'link'])).toBe(true);
    expect(await part.plan(spec.spec)).toEqual([]);
  });
});
