import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetworkPart } from '../../agents/network/part.js';
import type { Part } from '../../agents/part.js';
import type { ObjectKey } from '../../src/protocol/objects.js';
import { type Machine, NetworkLab } from './network-lab.js';
import {
  egressAll,
  flat,
  group,
  ids,
  mac,
  port,
  router as routerBody,
  rule,
  SpecBuilder,
  subnet,
  vxlan,
} from './network-spec.js';

const [PUBLIC, TENANT, SUBNET, DHCP_PORT, ROUTER, QR, QG, GROUP, WEB, PEER] = ids([
  1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0x20,
]);
const FIP = '203.0.113.50';

describe('one host with an external network, a tenant network, a router and two guests', () => {
  let lab: NetworkLab;
  let part: Part;
  let web: Machine;
  let peer: Machine;
  const spec = new SpecBuilder();

  const apply = async (...changed: ObjectKey[]) => {
    const reports = await part.apply({ spec: spec.spec, changed: changed.length ? new Set(changed) : null });
    const errors = reports.filter((report) => report.state === 'error');
    expect(errors).toEqual([]);
  };
  const setRules = (...rules: ReturnType<typeof rule>[]) =>
    apply(spec.put('security-group', GROUP, group(GROUP, [...egressAll(), ...rules])));
  const router = (floating: readonly [string, string, string][]) =>
    spec.put(
      'router',
      ROUTER,
      routerBody(
        ROUTER,
        { qg: QG, network: PUBLIC },
        { qr: QR, network: TENANT },
        {
          floating_ips: floating.map(([floating_ip_address, fixed_ip_address, port_id]) => ({
            id: port_id,
            floating_ip_address,
            fixed_ip_address,
            port_id,
          })),
        },
      ),
    );

  beforeAll(async () => {
    lab = await NetworkLab.up();
    part = createNetworkPart(lab.context);
    spec.put('network', PUBLIC, flat(PUBLIC));
    spec.put('network', TENANT, vxlan(TENANT, 1001));
    spec.put('dhcp', TENANT, {
      network_id: TENANT,
      port_id: DHCP_PORT,
      mac: mac(4),
      addresses: ['10.0.0.2/24'],
      mtu: 1450,
      dns_domain: 'openstacklocal.',
      subnets: [subnet(SUBNET, '10.0.0.0/24', '10.0.0.1')],
      reservations: [[WEB, 0x10, '10.0.0.5'] as const, [PEER, 0x20, '10.0.0.6'] as const].map(
        ([port_id, n, ip_address]) => ({
          port_id,
          mac: mac(n),
          hostname: `host-${ip_address.replaceAll('.', '-')}`,
          fixed_ips: [{ subnet_id: SUBNET, ip_address }],
          extra_dhcp_opts: [],
        }),
      ),
    });
    spec.put('security-group', GROUP, group(GROUP, egressAll()));
    spec.put('port', WEB, port(WEB, TENANT, mac(0x10), ['10.0.0.5'], [GROUP]));
    spec.put('port', PEER, port(PEER, TENANT, mac(0x20), ['10.0.0.6'], [GROUP]));
    router([]);
    web = await lab.guest({ id: WEB, mac: mac(0x10), mtu: 1450 });
    peer = await lab.guest({ id: PEER, mac: mac(0x20), mtu: 1450 });
    await apply();
  });
  afterAll(() => lab?.down());

  it('does nothing the second time, and plans nothing', async () => {
    lab.host.reset();
    await apply();
    expect(lab.host.runs).toEqual([]);
    expect(await part.plan(spec.spec)).toEqual([]);
    const other = createNetworkPart(lab.context);
    expect(await other.plan(spec.spec)).toEqual([]);
    expect(lab.host.runs).toEqual([]);
  });

  it('gives leases with routes, MTU and names', async () => {
    const lease = await lab.dhcp(web);
    expect(lease).toMatchObject({
      ip: '10.0.0.5',
      router: '10.0.0.1',
      dns: '10.0.0.2',
      mtu: '1450',
      domain: 'openstacklocal',
    });
    expect(lease.staticroutes).toBe('169.254.169.254/32 10.0.0.2 0.0.0.0/0 10.0.0.1');
    expect((await lab.dhcp(peer)).ip).toBe('10.0.0.6');
  });

  it('lets guests out through the router, and nobody in', async () => {
    expect(await web.pings('10.0.0.1')).toBe(true);
    expect(await web.pings('203.0.113.1')).toBe(true);
    expect(await web.pingsInVain('10.0.0.6')).toBe(true);
    await lab.outside.exec('ip', ['route', 'add', '10.0.0.0/24', 'via', '203.0.113.10']);
    expect(await lab.outside.pingsInVain('10.0.0.5')).toBe(true);
  });

  it('opens and closes with rules', async () => {
    await setRules(rule('ingress', { protocol: 'icmp' }));
    expect(await peer.pings('10.0.0.5')).toBe(true);
    await setRules();
    expect(await peer.pingsInVain('10.0.0.5')).toBe(true);
  });

  it('reaches a guest by its floating IP', async () => {
    await setRules(rule('ingress', { protocol: 'icmp' }));
    expect(await lab.outside.pingsInVain(FIP)).toBe(true);
    lab.host.reset();
    await apply(router([[FIP, '10.0.0.5', WEB]]));
    // two commands side by side and no look at the host: that is what makes it fast
    expect(lab.host.runs).toHaveLength(2);
    expect(lab.host.reads).toEqual([]);
    expect(await lab.outside.pings(FIP)).toBe(true);
  });

  it('drops what a guest has no address for', async () => {
    await web.exec('ip', ['addr', 'add', '10.0.0.77/24', 'dev', 'eth0']);
    expect(await web.pingsInVain('10.0.0.1', '-I', '10.0.0.77')).toBe(true);
    await web.exec('ip', ['addr', 'del', '10.0.0.77/24', 'dev', 'eth0']);
    expect(await web.pings('10.0.0.1')).toBe(true);
  });

  it('removes everything of its own and nothing else', async () => {
    const empty = new SpecBuilder();
    await part.apply({ spec: empty.spec, changed: null });
    const links = async () => {
      const { stdout } = await lab.host.machine.exec('ip', ['-br', 'link']);
      return stdout.split('\n').map((line) => line.split(/[ @]/)[0]);
    };
    // the kernel takes the devices of a deleted namespace away in its own time
    await expect.poll(async () => (await links()).filter(Boolean)).toEqual(['lo', 'br-ex', 'ext0']);
    expect((await lab.host.machine.exec('ip', ['netns', 'list'])).stdout).toBe('');
    expect((await lab.host.machine.exec('ipset', ['list', '-n'])).stdout).toBe('');
    lab.host.reset();
    await part.apply({ spec: empty.spec, changed: null });
    expect(lab.host.runs).toEqual([]);
  });
});
