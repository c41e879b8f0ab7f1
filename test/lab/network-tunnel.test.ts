import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetworkPart } from '../../agents/network/part.js';
import type { Part } from '../../agents/part.js';
import type { ObjectKey } from '../../src/protocol/objects.js';
import { type Machine, NetworkLab } from './network-lab.js';
import { egressAll, group, id, ids, mac, port, rule, SpecBuilder, subnet, vxlan } from './network-spec.js';

const [NET, OTHER, SUB, DHCP_PORT, GROUP] = ids([2, 0x22, 3, 4, 8]);

/** A host with its own spec and one guest. */
class Site {
  readonly spec = new SpecBuilder();
  readonly part: Part;
  guest!: Machine;

  constructor(
    readonly lab: NetworkLab,
    readonly n: number,
    readonly peer: { readonly n: number; readonly vtep: string },
  ) {
    this.part = createNetworkPart(lab.context);
    this.putNetwork(true);
    this.spec.put('network', OTHER, vxlan(OTHER, 2002));
    this.spec.put('security-group', GROUP, group(GROUP, [...egressAll(), rule('ingress')]));
    this.spec.put('port', id(n), port(id(n), NET, mac(n), [`10.0.0.${n}`], [GROUP]));
    this.spec.put('dhcp', NET, {
      network_id: NET,
      port_id: DHCP_PORT,
      mac: mac(4),
      addresses: ['10.0.0.2/24'],
      mtu: 1450,
      dns_domain: '',
      subnets: [subnet(SUB, '10.0.0.0/24', null)],
      reservations: [
        {
          port_id: id(n),
          mac: mac(n),
          hostname: `host-${n}`,
          fixed_ips: [{ subnet_id: SUB, ip_address: `10.0.0.${n}` }],
          extra_dhcp_opts: [],
        },
      ],
    });
  }

  /** With or without the entry of the other site's port: without, frames to it are flooded to the peers. */
  putNetwork(known: boolean): ObjectKey {
    const { n, vtep } = this.peer;
    return this.spec.put('network', NET, {
      ...vxlan(NET, 1001),
      peers: [vtep],
      remote_ports: known ? [{ mac: mac(n), vtep }] : [],
    });
  }

  async apply(...changed: ObjectKey[]): Promise<void> {
    const reports = await this.part.apply({
      spec: this.spec.spec,
      changed: changed.length ? new Set(changed) : null,
    });
    expect(reports.filter((report) => report.state === 'error')).toEqual([]);
  }
}

describe('a network of two hosts', () => {
  let one: Site;
  let two: Site;

  beforeAll(async () => {
    const [labOne, labTwo] = [await NetworkLab.up('192.0.2.1'), await NetworkLab.up('192.0.2.2')];
    await NetworkLab.join(labOne, labTwo);
    one = new Site(labOne, 0x10, { n: 0x20, vtep: '192.0.2.2' });
    two = new Site(labTwo, 0x20, { n: 0x10, vtep: '192.0.2.1' });
    for (const site of [one, two]) {
      site.guest = await site.lab.guest({ id: id(site.n), mac: mac(site.n), mtu: 1450 });
      await site.apply();
    }
  });
  afterAll(async () => {
    await one?.lab.down();
    await two?.lab.down();
  });

  it('serves DHCP on each host from its own server, and keeps it off the tunnel', async () => {
    expect((await one.lab.dhcp(one.guest)).ip).toBe('10.0.0.16');
    expect((await two.lab.dhcp(two.guest)).ip).toBe('10.0.0.32');
    expect(await one.guest.pings('10.0.0.2')).toBe(true);
    const dhcp = (site: Site) =>
      site.lab.host.machine.exec('ip', ['-n', `qdhcp-${NET}`, '-s', 'link', 'show', 'ns-00000004-00']);
    // with the server of its own host down, a guest is not answered by the other host's
    await one.lab.host.machine.exec('ip', ['-n', `qdhcp-${NET}`, 'link', 'set', 'ns-00000004-00', 'down']);
    await one.guest.exec('ip', ['neigh', 'flush', 'all']);
    expect(await one.guest.pingsInVain('10.0.0.2')).toBe(true);
    expect((await dhcp(two)).stdout).toContain('state UP');
    await one.apply();
    expect(await one.guest.pings('10.0.0.2')).toBe(true);
  });

  it('carries frames to known MACs and floods to peers for the others', async () => {
    expect(await one.guest.pings('10.0.0.32', '-s', '1422', '-M', 'do')).toBe(true);
    for (const site of [one, two]) await site.apply(site.putNetwork(false));
    const fdb = await one.lab.host.machine.exec('bridge', ['fdb', 'show', 'dev', 'vxlan-1001']);
    expect(fdb.stdout).not.toContain(mac(0x20));
    expect(await one.guest.pings('10.0.0.32')).toBe(true);
    for (const site of [one, two]) await site.apply(site.putNetwork(true));
    expect(await one.guest.pings('10.0.0.32')).toBe(true);
  });

  it('moves a MAC when its port comes to this host, and back', async () => {
    // the port of site two is now on site one as well, as after a migration
    one.putNetwork(false);
    const moved = one.spec.put('port', id(0x20), port(id(0x20), NET, mac(0x20), ['10.0.0.32'], [GROUP]));
    await one.apply(moved, `network/${NET}`);
    const entry = async () =>
      (await one.lab.host.machine.exec('bridge', ['fdb', 'show', 'br', 'brq00000002-00'])).stdout;
    expect(await entry()).toMatch(new RegExp(`${mac(0x20)} dev tap00000020-00`));
    expect(await one.guest.pingsInVain('10.0.0.32')).toBe(true);
    one.putNetwork(true);
    await one.apply(one.spec.drop(moved), `network/${NET}`);
    expect(await entry()).toMatch(new RegExp(`${mac(0x20)} dev vxlan-1001 dst 192.0.2.2`));
    expect(await one.guest.pings('10.0.0.32')).toBe(true);
    expect(await one.part.plan(one.spec.spec)).toEqual([]);
  });

  it('is a tunnel that answers for nobody, learns nothing, and floods to exactly the hosts of the network', async () => {
    const { machine } = one.lab.host;
    const link = async (device: string) =>
      (await machine.exec('bridge', ['-d', 'link', 'show', 'dev', device])).stdout;
    expect(await link('vxlan-1001')).toMatch(/ learning off flood on .* neigh_suppress off /);
    const device = (await machine.exec('ip', ['-d', 'link', 'show', 'vxlan-1001'])).stdout;
    expect(device).toMatch(/ nolearning /);
    expect(device).not.toMatch(/ proxy | l2miss | l3miss /);
    const fdb = async (device: string) =>
      (await machine.exec('bridge', ['fdb', 'show', 'dev', device])).stdout
        .split('\n')
        .filter((line) => line.includes(' dst ') || / static$/.test(line))
        .map((line) => line.replace(/ (link-netnsid|src_vni) \d+/g, '').trim())
        .sort();
    const known = [`${mac(0x20)} dst 192.0.2.2 self static`, `${mac(0x20)} master brq00000002-00 static`];
    expect(await fdb('vxlan-1001')).toEqual(['00:00:00:00:00:00 dst 192.0.2.2 self permanent', ...known]);
    expect(await fdb('vxlan-2002')).toEqual([]);

    // a third host joins the network, the second gets another address, then leaves
    const put = (peers: string[], vtep: string | null) =>
      one.spec.put('network', NET, {
        ...vxlan(NET, 1001),
        peers,
        remote_ports: vtep ? [{ mac: mac(0x20), vtep }] : [],
      });
    await one.apply(put(['192.0.2.2', '192.0.2.3'], '192.0.2.2'));
    expect((await fdb('vxlan-1001')).filter((line) => line.startsWith('00:'))).toHaveLength(2);
    one.lab.host.reset();
    await one.apply(put(['192.0.2.3', '192.0.2.9'], '192.0.2.9'));
    expect(one.lab.host.runs.filter((run) => run.startsWith('bridge '))).toHaveLength(1);
    expect(await fdb('vxlan-1001')).toEqual([
      '00:00:00:00:00:00 dst 192.0.2.3 self permanent',
      '00:00:00:00:00:00 dst 192.0.2.9 self permanent',
      `${mac(0x20)} dst 192.0.2.9 self static`,
      `${mac(0x20)} master brq00000002-00 static`,
    ]);
    await one.apply(put(['192.0.2.3'], null));
    expect(await fdb('vxlan-1001')).toEqual(['00:00:00:00:00:00 dst 192.0.2.3 self permanent']);
    await one.apply(one.putNetwork(true));
    expect(await one.guest.pings('10.0.0.32')).toBe(true);
    expect(await one.part.plan(one.spec.spec)).toEqual([]);
  });

  it('follows its own host to another underlay address', async () => {
    const { machine } = two.lab.host;
    const readdress = async (from: string, to: string) => {
      await machine.exec('ip', ['addr', 'del', `${from}/24`, 'dev', 'underlay']);
      await machine.exec('ip', ['addr', 'add', `${to}/24`, 'dev', 'underlay']);
    };
    await readdress('192.0.2.2', '192.0.2.7');
    const config = { ...two.lab.context.config, underlay_ip: '192.0.2.7' };
    const moved = createNetworkPart({ ...two.lab.context, config });
    const reports = await moved.apply({ spec: two.spec.spec, changed: null });
    expect(reports.filter((report) => report.state === 'error')).toEqual([]);
    expect(await one.guest.pingsInVain('10.0.0.32')).toBe(true);
    await one.apply(
      one.spec.put('network', NET, {
        ...vxlan(NET, 1001),
        peers: ['192.0.2.7'],
        remote_ports: [{ mac: mac(0x20), vtep: '192.0.2.7' }],
      }),
    );
    expect(await one.guest.pings('10.0.0.32')).toBe(true);
    expect(await moved.plan(two.spec.spec)).toEqual([]);
    await readdress('192.0.2.7', '192.0.2.2');
    await one.apply(one.putNetwork(true));
    await two.apply();
    expect(await one.guest.pings('10.0.0.32')).toBe(true);
  });

  it('keeps other networks of the same hosts apart', async () => {
    const fdb = await one.lab.host.machine.exec('bridge', ['fdb', 'show', 'dev', 'vxlan-2002']);
    expect(fdb.stdout).not.toContain('192.0.2.2');
  });
});
