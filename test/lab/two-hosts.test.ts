import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostAddress } from '../../scripts/lab/names.js';
import { create, list, type Named } from '../../scripts/lab/resources.js';
import { until } from '../support/lab.js';
import { type Guest, TwoHostLab } from '../support/two-host-lab.js';

/**
 * One network on two hosts with real guests: what they reach, what moves between them, and what happens when hosts and what is
 * between them fail. The tests build on each other, since a guest takes long to boot.
 */
const MINUTES = 60_000;
const NAME = 'two-hosts';
/** For how long an address has to answer after something was done, so that its interruption is seen as a whole. */
const AFTERWARDS_S = 2;

interface RouterPlace {
  readonly host: string;
  readonly epoch: number;
  readonly state: string;
  readonly to_be_given_up_by: readonly string[];
}

describe('two hosts', () => {
  let lab: TwoHostLab;
  let one: Guest;
  let two: Guest;
  let networkId: string;
  let externalId: string;
  let routerId: string;
  let groupId: string;
  let mtu: number;
  let tunnel: string;

  const network = async (method: string, path: string, body?: unknown) =>
    // biome-ignore lint/suspicious/noExplicitAny: replies of many shapes
    await lab.admin.call<any>('network', method, `/v2.0/${path}`, body);
  const place = async () =>
    (await lab.admin.call<{ router: RouterPlace }>('maru', 'GET', `/routers/${routerId}`)).router;
  const other = (host: string) => (host === 'host1' ? 'host2' : 'host1');
  const namespaces = (host: string) => lab.on(host, 'ip', 'netns', 'list');

  /** Whether the first guest gets the second one's page within some seconds. */
  const reached = (seconds: number) =>
    lab.succeeds(one, `timeout ${seconds} wget -q -O - http://${two.fixedIp}:8080/hello`);

  /** The longest time that an address did not answer, in seconds, while something was done and until it answered again. */
  const interruption = async (address: string, action: () => Promise<unknown>) => {
    const pinging = lab.pinging(address);
    try {
      await until('the first answer', 60, async () => pinging.answers.length > 0);
      await action();
      const ended = Date.now() / 1000;
      // those of before may still be under way
      await until('answers again', 180, async () => (pinging.answers.at(-1) ?? 0) > ended + AFTERWARDS_S);
    } finally {
      await pinging.stop();
    }
    const { answers } = pinging;
    return Math.max(...answers.slice(1).map((time, index) => time - answers[index]!));
  };

  beforeAll(async () => {
    lab = await TwoHostLab.up();
    await lab.keyPair(NAME);
    externalId = (await list(lab.admin, 'network', { name: 'public' }))[0]!.id;
    const made = await create<Named & { mtu: number; 'provider:segmentation_id': number }>(
      lab.admin,
      'network',
      {
        name: NAME,
      },
    );
    networkId = made.id;
    mtu = made.mtu;
    tunnel = `vxlan-${made['provider:segmentation_id']}`;
    const subnet = await create(lab.admin, 'subnet', {
      network_id: networkId,
      ip_version: 4,
      cidr: '10.30.0.0/24',
    });
    const subnet6 = await create(lab.admin, 'subnet', {
      network_id: networkId,
      ip_version: 6,
      cidr: '2001:db8:30::/64',
      ipv6_ra_mode: 'slaac',
      ipv6_address_mode: 'slaac',
    });
    routerId = (
      await create(lab.admin, 'router', { name: NAME, external_gateway_info: { network_id: externalId } })
    ).id;
    for (const { id } of [subnet, subnet6])
      await network('PUT', `routers/${routerId}/add_router_interface`, { subnet_id: id });
    groupId = (await create(lab.admin, 'securityGroup', { name: NAME })).id;
    const rule = { security_group_id: groupId, direction: 'ingress' };
    for (const more of [
      { ethertype: 'IPv4', protocol: 'icmp' },
      { ethertype: 'IPv6', protocol: 'ipv6-icmp' },
      { ethertype: 'IPv4', protocol: 'tcp', port_range_min: 22, port_range_max: 22 },
    ])
      await create(lab.admin, 'securityGroupRule', { ...rule, ...more });
    const parts = { network: networkId, group: NAME, key: NAME, external: externalId };
    [one, two] = await Promise.all([
      lab.guest('two-hosts-1', 'host1', parts),
      lab.guest('two-hosts-2', 'host2', parts),
    ]);
  }, 30 * MINUTES);

  afterAll(async () => {
    await lab?.down();
  }, 10 * MINUTES);

  it(
    'each host gives its guest address, MTU and metadata',
    async () => {
      expect(mtu).toBe(1550);
      for (const guest of [one, two]) {
        expect(await lab.ssh(guest, 'ip addr show dev eth0')).toContain(` ${guest.fixedIp}/24 `);
        expect(await lab.ssh(guest, 'cat /sys/class/net/eth0/mtu')).toBe(String(mtu));
        const metadata = await lab.ssh(
          guest,
          'wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json',
        );
        expect(JSON.parse(metadata)).toMatchObject({ uuid: guest.id });
        expect(await lab.on(guest.host, 'virsh', 'list', '--uuid')).toContain(guest.id);
      }
    },
    10 * MINUTES,
  );

  it(
    'guests reach each other and the router, in packets of full size that nobody takes apart',
    async () => {
      const fragments = async () => {
        const counts = await Promise.all(
          ['host1', 'host2'].map((host) => lab.on(host, 'nstat', '-asz', 'IpFragCreates', 'Ip6FragCreates')),
        );
        return counts.map((text) => [...text.matchAll(/FragCreates\s+(\d+)/g)].map((match) => match[1]));
      };
      const before = await fragments();
      for (const [from, to] of [
        [one, two],
        [two, one],
      ] as const) {
        expect(await lab.succeeds(from, `ping -c 2 -W 10 -s ${mtu - 28} ${to.fixedIp}`)).toBe(true);
        expect(await lab.succeeds(from, 'ping -c 2 -W 10 10.30.0.1')).toBe(true);
        expect(await lab.succeeds(from, 'ping -c 2 -W 10 203.0.113.1')).toBe(true);
      }
      expect(await fragments()).toEqual(before);
    },
    10 * MINUTES,
  );

  it(
    'IPv6 addresses come from the router of whichever host, and reach across',
    async () => {
      const address = async (guest: Guest) =>
        /inet6 (2001:db8:30:[0-9a-f:]+)\//.exec(await lab.ssh(guest, 'ip -6 addr show dev eth0'))?.[1];
      for (const guest of [one, two])
        await until(`an address of ${guest.host}'s guest`, 120, () => address(guest));
      expect(await lab.succeeds(one, `ping -6 -c 2 -W 10 ${await address(two)}`)).toBe(true);
      expect(await lab.succeeds(two, `ping -6 -c 2 -W 10 ${await address(one)}`)).toBe(true);
      for (const guest of [one, two])
        expect(await lab.succeeds(guest, 'ping -6 -c 2 -W 10 2001:db8:30::1')).toBe(true);
    },
    10 * MINUTES,
  );

  it(
    'DHCP stays off the tunnel',
    async () => {
      const rules = ['udp sport { 67, 68 } counter', 'arp operation request counter'];
      const spy = async (...words: string[]) => {
        for (const host of ['host1', 'host2']) await lab.must(host, 'nft', ...words);
      };
      await spy('add', 'table', 'netdev', 'spy');
      for (const [chain, hook] of [
        ['out', 'egress'],
        ['in', 'ingress'],
      ] as const) {
        const where = `{ type filter hook ${hook} device "${tunnel}" priority 0; }`;
        await spy('add', 'chain', 'netdev', 'spy', chain, where);
        for (const rule of rules) await spy('add', 'rule', 'netdev', 'spy', chain, rule);
      }
      for (const guest of [one, two]) {
        expect(await lab.ssh(guest, 'udhcpc -i eth0 -n -q -t 20 -s /bin/true 2>&1')).toContain(guest.fixedIp);
        await lab.succeeds(guest, 'arping -c 1 -w 2 -I eth0 10.30.0.99');
      }
      for (const host of ['host1', 'host2']) {
        const spied = await lab.on(host, 'nft', 'list', 'table', 'netdev', 'spy');
        const dhcp = [...spied.matchAll(/udp sport .* packets (\d+)/g)].map((match) => match[1]);
        expect(dhcp, spied).toEqual(['0', '0']);
        // the control: what is meant for all does come through
        const arp = [...spied.matchAll(/arp operation request counter packets (\d+)/g)].map(
          (match) => match[1],
        );
        expect(
          arp.every((packets) => Number(packets) > 0),
          spied,
        ).toBe(true);
      }
      await spy('delete', 'table', 'netdev', 'spy');
    },
    10 * MINUTES,
  );

  it(
    'a rule with a remote group lets the member on the other host in, and nobody else',
    async () => {
      const member = await create(lab.admin, 'securityGroup', { name: 'two-hosts-member' });
      await create(lab.admin, 'securityGroupRule', {
        security_group_id: groupId,
        direction: 'ingress',
        ethertype: 'IPv4',
        protocol: 'tcp',
        port_range_min: 8080,
        port_range_max: 8080,
        remote_group_id: member.id,
      });
      await lab.ssh(two, 'mkdir -p /tmp/www && echo hello > /tmp/www/hello && httpd -p 8080 -h /tmp/www');
      expect(await reached(3)).toBe(false);
      await network('PUT', `ports/${one.portId}`, { port: { security_groups: [groupId, member.id] } });
      await until('the member let in', 60, () => reached(20));
      await network('PUT', `ports/${one.portId}`, { port: { security_groups: [groupId] } });
      await until(
        'nobody let in',
        60,
        () => reached(3),
        (is) => !is,
      );
    },
    10 * MINUTES,
  );

  it(
    'an address that both ports may use moves from guest to guest, and its floating IP with it',
    async () => {
      const port = await create<Named & { fixed_ips: { ip_address: string }[] }>(lab.admin, 'port', {
        network_id: networkId,
        name: 'two-hosts-shared',
      });
      const shared = port.fixed_ips.find((ip) => !ip.ip_address.includes(':'))!.ip_address;
      const { floating_ip_address: outside } = await create<{ floating_ip_address: string }>(
        lab.admin,
        'floatingIp',
        {
          floating_network_id: externalId,
          port_id: port.id,
          fixed_ip_address: shared,
        },
      );
      const take = (guest: Guest) =>
        lab.ssh(
          guest,
          `ip addr add ${shared}/24 dev eth0; arping -U -c 2 -w 2 -I eth0 ${shared} >/dev/null; true`,
        );
      const giveUp = (guest: Guest) => lab.ssh(guest, `ip addr del ${shared}/24 dev eth0`);

      await take(two);
      expect(await lab.pingsInVain(outside)).toBe(true);
      await giveUp(two);
      for (const guest of [one, two]) {
        const allowed_address_pairs = [{ ip_address: shared }];
        await network('PUT', `ports/${guest.portId}`, { port: { allowed_address_pairs } });
      }
      for (const [from, to] of [
        [null, one],
        [one, two],
        [two, one],
      ] as const) {
        if (from) await giveUp(from);
        await take(to);
        await until(`${outside} at the guest of ${to.host}`, 20, () => lab.pings(outside));
        const peer = to === one ? two : one;
        expect(await lab.succeeds(peer, `ping -c 1 -W 10 ${shared}`)).toBe(true);
        const { stdout } = await lab.outside('ping', ['-c', '3', '-i', '0.2', '-W', '10', outside]);
        expect(stdout).toContain('3 received');
      }
      await giveUp(one);
    },
    15 * MINUTES,
  );

  it(
    'the router moves to the other host and back: nobody loses more than a moment',
    async () => {
      for (let round = 0; round < 2; round++) {
        const { host, epoch } = await place();
        const seconds = await interruption(two.floatingIp, () =>
          lab.maru('router', 'move', routerId, other(host), '--wait'),
        );
        process.stdout.write(`router move ${host} -> ${other(host)}: interruption ${seconds.toFixed(2)} s\n`);
        expect(await place()).toMatchObject({
          host: other(host),
          epoch: epoch + 1,
          state: 'up',
          to_be_given_up_by: [],
        });
        expect(await namespaces(host)).not.toContain(`qrouter-${routerId}`);
        expect(await namespaces(other(host))).toContain(`qrouter-${routerId}`);
        expect(seconds).toBeLessThan(10);
        for (const guest of [one, two]) expect(await lab.pings(guest.floatingIp)).toBe(true);
        expect(await lab.succeeds(one, 'ping -c 1 -W 10 203.0.113.1')).toBe(true);
      }
    },
    15 * MINUTES,
  );

  it(
    'a cut between the hosts is over when it is mended',
    async () => {
      // the host without the router: one that has it would lose it if it were away for long
      const { host } = await place();
      const [near, far] = host === 'host1' ? [one, two] : [two, one];
      const route = await lab.on(far.host, 'ip', 'route', 'get', hostAddress(host));
      const device = /dev (\S+)/.exec(route)![1]!;
      await lab.must(far.host, 'ip', 'link', 'set', device, 'down');
      expect(await lab.succeeds(near, `ping -c 1 -W 1 ${far.fixedIp}`)).toBe(false);
      await lab.must(far.host, 'ip', 'link', 'set', device, 'up');
      await until('the guests reach each other', 90, () =>
        lab.succeeds(near, `ping -c 1 -W 10 ${far.fixedIp}`),
      );
      expect((await place()).host).toBe(host);
      await until(
        'both hosts up',
        120,
        () => lab.maru('host', 'list'),
        (text) => !/ down/.test(text),
      );
    },
    10 * MINUTES,
  );

  it(
    'what changed while the agent of the other host was away is there when it is back',
    async () => {
      const rule = {
        security_group_id: groupId,
        direction: 'ingress',
        ethertype: 'IPv4',
        protocol: 'tcp',
        port_range_min: 8080,
        port_range_max: 8080,
      };
      const resume = await lab.pauseAgent('host2');
      try {
        await create(lab.admin, 'securityGroupRule', rule);
        expect(await reached(3)).toBe(false);
      } finally {
        resume();
      }
      await until('the rule on host2', 120, () => reached(20));
    },
    10 * MINUTES,
  );

  it(
    'a host whose agent alone is silent keeps its routers, since others hear them',
    async () => {
      const { host, epoch } = await place();
      const resume = await lab.pauseAgent(host);
      try {
        const move = async () =>
          (await lab.admin.call<{ router: { note: string } }>('maru', 'GET', `/routers/${routerId}`)).router
            .note;
        await until('witnesses that hear it', 180, move, (note) => /still answers/.test(note));
        expect(await lab.pings(two.floatingIp)).toBe(true);
      } finally {
        resume();
      }
      const after = await until('the router as before', 120, place, (router) => router.state === 'up');
      expect(after).toMatchObject({ host, epoch, to_be_given_up_by: [] });
    },
    10 * MINUTES,
  );

  it(
    'when the router’s host is switched off, the other host takes it; the first one does not raise it again',
    async () => {
      if ((await place()).host !== 'host1') await lab.maru('router', 'move', routerId, 'host1', '--wait');
      const { epoch } = await place();
      expect(await lab.pings(two.floatingIp)).toBe(true);
      const seconds = await interruption(two.floatingIp, () => lab.switchOff('host1'));
      process.stdout.write(
        `host off: the floating IP of the other host's guest was away for ${seconds.toFixed(1)} s\n`,
      );
      // host_down_after is 30 s in the lab
      expect(seconds).toBeGreaterThan(10);
      expect(seconds).toBeLessThan(90);
      expect(await place()).toMatchObject({ host: 'host2', epoch: epoch + 1, to_be_given_up_by: ['host1'] });

      await lab.repair();
      await until('host1 gives the router up', 240, place, (router) => router.to_be_given_up_by.length === 0);
      expect(await namespaces('host1')).not.toContain(`qrouter-${routerId}`);
      expect(await place()).toMatchObject({ host: 'host2', epoch: epoch + 1, state: 'up' });
      expect(await lab.pings(two.floatingIp)).toBe(true);
    },
    25 * MINUTES,
  );
});
