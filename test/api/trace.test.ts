import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeHost } from '../../agents/host/fake.js';
import type { NetworkView } from '../../src/core/trace/show.js';
import type { Trace } from '../../src/core/trace/trace.js';
import { FaultCloud } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';

/** The whole way: API, database, TLS, agents; the hosts are simulated, so what is found on them is theirs. */
describe('what exists of networks on hosts, and where a way is broken', () => {
  let cloud: FaultCloud;
  let scene: FaultScene;
  let serverId: string;
  let portId: string;
  let floating: { id: string; floating_ip_address: string };
  let routerHost: string;
  let guestHost: string;

  const traced = async (target: string, more = ''): Promise<Trace> => {
    const { traces } = await cloud.call<{ traces: Trace[] }>(
      'GET',
      `/maru/v1/trace?target=${encodeURIComponent(target)}${more}`,
    );
    expect(traces).toHaveLength(1);
    return traces[0]!;
  };
  const brokenAt = ({ broken, hops }: Trace) =>
    broken === null ? null : `${hops[broken]!.host}: ${hops[broken]!.what}`;
  /** By hand, on a host. */
  const hand = async (host: string, command: string, ...args: string[]) =>
    await new FakeHost(cloud.machines.get(host)!).run(command, args);

  beforeAll(async () => {
    // what is planted has to stay
    const drift = Object.fromEntries(
      ['network', 'dhcp', 'port', 'security-group', 'router', 'server'].map((kind) => [kind, 'report']),
    );
    cloud = await FaultCloud.start({ hosts: ['host1', 'host2'], config: { drift } });
    scene = await FaultScene.open(cloud);
    const { router } = await cloud.call<{ router: { host: string } }>(
      'GET',
      `/maru/v1/routers/${scene.routerId}`,
    );
    routerHost = router.host;
    guestHost = routerHost === 'host1' ? 'host2' : 'host1';
    await scene.tenant.create('security_group_rule', {
      security_group_id: scene.groupId,
      direction: 'ingress',
      ethertype: 'IPv4',
      protocol: 'tcp',
      port_range_min: 22,
      port_range_max: 22,
      remote_ip_prefix: '203.0.113.0/24',
    });
    serverId = await scene.server({ availability_zone: `nova:${guestHost}` });
    await cloud.waitFor('the server', async () => {
      const { server } = await cloud.call<{ server: { status: string } }>(
        'GET',
        `/compute/v2.1/servers/${serverId}`,
      );
      return server.status === 'ACTIVE' ? [] : [server.status];
    });
    const { ports } = await cloud.call<{ ports: { id: string }[] }>(
      'GET',
      `/network/v2.0/ports?device_id=${serverId}`,
    );
    portId = ports[0]!.id;
    const id = await scene.tenant.create('floatingip', { floating_network_id: scene.externalId });
    floating = (await cloud.call<{ floatingip: typeof floating }>('GET', `/network/v2.0/floatingips/${id}`))
      .floatingip;
  }, 300_000);
  afterAll(() => cloud?.close());

  it('is broken at the first hop while the floating IP is with no port', async () => {
    const trace = await traced(floating.floating_ip_address);
    expect(brokenAt(trace)).toBe('null: floating IP');
    expect(trace.verdict).toContain(
      `openstack server add floating ip SERVER ${floating.floating_ip_address}`,
    );
    expect(trace.hops).toHaveLength(1);
  });

  it('finds nothing broken over two hosts once it is, by address, port and server', async () => {
    await cloud.call('PUT', `/network/v2.0/floatingips/${floating.id}`, { floatingip: { port_id: portId } });
    await cloud.waitFor('the way', async () => {
      const trace = await traced(floating.floating_ip_address);
      // no simulated wire leads out of br-ex
      const failed = trace.hops.filter(({ state, what }) => state === 'fail' && what !== 'uplink');
      return failed.map(({ host, what, detail }) => `${host} ${what}: ${detail}`);
    });
    const trace = await traced(floating.id, '&protocol=tcp&port=22&from=203.0.113.9');
    expect(new Set(trace.hops.map(({ host }) => host))).toEqual(new Set([null, routerHost, guestHost]));
    expect(brokenAt(trace)).toBe(`${routerHost}: uplink`);
    expect(trace.hops.find(({ what }) => what === 'security groups')).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining('tcp 22 from 203.0.113.0/24'),
    });
    for (const target of [portId, serverId])
      expect((await traced(target)).hops.map(({ what }) => what)).toEqual(trace.hops.map(({ what }) => what));
  });

  it('finds nothing broken where a wire leads outside, and names what is broken by hand', async () => {
    await hand(routerHost, 'ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'wire1');
    await hand(routerHost, 'ip', 'link', 'set', 'wire1', 'up');
    await hand(routerHost, 'ip', 'link', 'set', 'eth1', 'master', 'br-ex', 'up');
    expect(brokenAt(await traced(floating.id))).toBeNull();
    const ns = `qrouter-${scene.routerId}`;
    const { stdout } = await new FakeHost(cloud.machines.get(routerHost)!).read('ip', [
      '-n',
      ns,
      '-j',
      'addr',
      'show',
    ]);
    const gateway = (JSON.parse(stdout) as { ifname: string }[]).find(({ ifname }) =>
      ifname.startsWith('qg-'),
    )!.ifname;
    const address = `${floating.floating_ip_address}/32`;
    await hand(routerHost, 'ip', '-n', ns, 'addr', 'del', address, 'dev', gateway);
    const trace = await traced(floating.id);
    expect(brokenAt(trace)).toBe(`${routerHost}: floating address`);
    expect(trace.verdict).toContain(`ip netns exec ${ns} ip addr show dev ${gateway}`);
    await hand(routerHost, 'ip', '-n', ns, 'addr', 'add', address, 'dev', gateway);
    expect(brokenAt(await traced(floating.id))).toBeNull();
  });

  it.each([
    ['&protocol=udp', 'no rule admits udp'],
    ['&protocol=tcp&port=80', 'no rule admits tcp port 80'],
    ['&protocol=tcp&port=22&from=198.51.100.1', 'no rule admits tcp port 22 from 198.51.100.1'],
  ])('says that no rule admits %s', async (query, words) => {
    const trace = await traced(floating.id, query);
    expect(brokenAt(trace)).toBe('null: security groups');
    expect(trace.verdict).toContain(words);
  });

  /** The network, once its hosts have told of all that was asked of them. */
  async function reported(): Promise<NetworkView> {
    const look = () => cloud.call<{ network: NetworkView }>('GET', `/maru/v1/networks/${scene.networkId}`);
    let { network } = await look();
    await cloud.waitFor('the reports', async () => {
      ({ network } = await look());
      const late = network.hosts.flatMap(({ host, reports }) =>
        reports
          .filter(({ current, state }) => !current || state !== 'applied')
          .map((one) => ({ host, ...one })),
      );
      return late.map(({ host, object, state, error }) => `${host} ${object}: ${state} ${error ?? ''}`);
    });
    return network;
  }

  it('shows a network in the cloud and on each host, with commands for that host', async () => {
    const network = await reported();
    expect(network).toMatchObject({ id: scene.networkId, type: 'vxlan', external: false });
    expect(network.ports.find(({ id }) => id === portId)).toMatchObject({ host: guestHost });
    expect(network.hosts.map(({ host }) => host)).toEqual(['host1', 'host2']);
    for (const { objects, reports } of network.hosts) {
      expect(objects.filter(({ state }) => state !== 'ok')).toEqual([]);
      expect(reports.filter(({ current, state }) => !current || state !== 'applied')).toEqual([]);
    }
    const shown = (host: string) =>
      network.hosts.find((one) => one.host === host)!.objects.map(({ show }) => show);
    expect(shown(guestHost)).toEqual(
      expect.arrayContaining([
        `ip -d link show dev tap${portId.slice(0, 11)}`,
        `bridge fdb show dev vxlan-${network.segmentation_id}`,
        `iptables -S maru-i${portId.slice(0, 11)}`,
        `ip netns exec qdhcp-${scene.networkId} ip -br addr show`,
      ]),
    );
    expect(shown(guestHost).join()).not.toContain(`qrouter-${scene.routerId}`);
    expect(shown(routerHost)).toContain(`ip netns exec qrouter-${scene.routerId} ip -br addr show`);
  });

  it('shows of one host only what is there, and asks no other', async () => {
    const path = `/maru/v1/networks/${scene.networkId}?host=`;
    const { network } = await cloud.call<{ network: NetworkView }>('GET', `${path}${guestHost}`);
    expect(network.hosts.map(({ host }) => host)).toEqual([guestHost]);
    expect(new Set(network.ports.map(({ host }) => host))).toEqual(new Set([guestHost]));
    expect((await cloud.request('GET', `${path}nowhere`)).status).toBe(404);
  });

  it('names the host whose agent is away, and still gives its commands', async () => {
    await cloud.stopAgent(guestHost);
    // one that ends may answer what came before
    await cloud.waitFor('its end', async () => {
      const broken = brokenAt(await traced(floating.id));
      return broken === `${guestHost}: guest's host` ? [] : [String(broken)];
    });
    const trace = await traced(floating.id);
    expect(brokenAt(trace)).toBe(`${guestHost}: guest's host`);
    expect(trace.verdict).toContain('does not answer');
    const its = trace.hops.filter(({ host }) => host === guestHost).slice(1);
    expect(new Set(its.map(({ state }) => state))).toEqual(new Set(['unknown']));
    const { network } = await cloud.call<{ network: NetworkView }>(
      'GET',
      `/maru/v1/networks/${scene.networkId}`,
    );
    const there = network.hosts.find(({ host }) => host === guestHost)!.objects;
    expect(there.map(({ show }) => show)).toContain(`ip -d link show dev tap${portId.slice(0, 11)}`);
    await cloud.startAgent(guestHost);
    await cloud.waitFor('the agent', async () => {
      const broken = brokenAt(await traced(floating.id));
      return broken === null ? [] : [broken];
    });
  });

  it('is for administrators, and refuses what makes no sense', async () => {
    const status = async (path: string) => (await cloud.request('GET', `/maru/v1/${path}`)).status;
    expect(await status('trace?target=nothing')).toBe(404);
    expect(await status('networks/nothing')).toBe(404);
    expect(await status('trace')).toBe(400);
    expect(await status(`trace?target=${floating.id}&from=here`)).toBe(400);
    expect(await status(`trace?target=${floating.id}&port=70000`)).toBe(400);
    expect(await status(`trace?target=${floating.id}&protocol=tcp%3Breboot`)).toBe(400);
  });
});
