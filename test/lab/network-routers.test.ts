import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetworkPart, type NetworkPart } from '../../agents/network/part.js';
import { tapName } from '../../src/net/names.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectBodies, ObjectKey } from '../../src/protocol/objects.js';
import { until } from '../support/lab-host.js';
import { type Machine, NetworkLab } from './network-lab.js';
import {
  egressAll,
  flat,
  group,
  id,
  ids,
  mac,
  port,
  router as routerBody,
  rule,
  SpecBuilder,
  vxlan,
} from './network-spec.js';

const [PUBLIC, NET, ROUTER, QR, QG, GROUP] = ids([1, 2, 5, 6, 7, 8]);
const KEY: ObjectKey = `router/${ROUTER}`;
const FLOATING = '203.0.113.50';

/** One of the two hosts that a router may be on, with a guest of its network. */
class Site {
  readonly spec = new SpecBuilder();
  part: NetworkPart;
  guest!: Machine;

  constructor(
    readonly lab: NetworkLab,
    readonly n: number,
    peer: { readonly n: number; readonly vtep: string },
  ) {
    this.part = createNetworkPart(lab.context);
    this.spec.put('network', PUBLIC, flat(PUBLIC));
    this.spec.put('network', NET, {
      ...vxlan(NET, 1001),
      peers: [peer.vtep],
      remote_ports: [{ mac: mac(peer.n), vtep: peer.vtep }],
    });
    this.spec.put('security-group', GROUP, group(GROUP, [...egressAll(), rule('ingress')]));
    this.spec.put('port', id(n), port(id(n), NET, mac(n), [`10.0.0.${n}`], [GROUP]));
  }

  /** Applies the router at an epoch, as its owner (true), as who has to give it up (false), or without it. */
  async router(epoch: number, owner: boolean | null): Promise<ObjectReport | undefined> {
    if (owner === null) this.spec.drop(KEY);
    else this.spec.put('router', ROUTER, owner ? router(epoch) : withdrawn(epoch));
    return await this.apply(KEY);
  }

  /** Brings the keys about, or everything; gives what is reported of the router. */
  async apply(...changed: ObjectKey[]): Promise<ObjectReport | undefined> {
    const reports = await this.part.apply({
      spec: this.spec.spec,
      changed: changed.length ? new Set(changed) : null,
    });
    expect(reports.filter(({ key, state }) => key !== KEY && state === 'error')).toEqual([]);
    return reports.find(({ key }) => key === KEY);
  }

  /** An agent that is started anew, after its host was: nothing of the router is there. */
  async reboot(): Promise<void> {
    const { machine } = this.lab.host;
    await machine.exec('ip', ['netns', 'del', `qrouter-${ROUTER}`]);
    // the kernel takes the cables of a deleted namespace away in its own time, and answers on them until then
    for (const device of [QR, QG].map(tapName))
      await until(`the end of ${device}`, 60_000, async () => {
        return !(await machine.succeeds('ip', ['link', 'show', device]));
      });
    this.part = createNetworkPart(this.lab.context);
  }

  async runsRouter(): Promise<boolean> {
    const { stdout } = await this.lab.host.machine.exec('ip', ['netns', 'list']);
    return stdout.includes(`qrouter-${ROUTER}`);
  }
}

function router(epoch: number): ObjectBodies['router'] {
  const inside = { qr: QR, network: NET, addresses: ['10.0.0.1/24', '2001:db8:1::1/64'] };
  const floating = { floating_ip_address: FLOATING, fixed_ip_address: '10.0.0.32', port_id: id(0x20) };
  return routerBody(ROUTER, { qg: QG, network: PUBLIC }, inside, {
    epoch,
    floating_ips: [{ id: id(9), ...floating }],
  });
}

function withdrawn(epoch: number): ObjectBodies['router'] {
  const empty = { external: null, interfaces: [], routes: [], floating_ips: [] };
  return { ...empty, id: ROUTER, epoch, withdrawn: true, admin_state_up: false };
}

describe('a router that moves between two hosts', () => {
  let one: Site;
  let two: Site;
  let outside: Machine;

  beforeAll(async () => {
    const [labOne, labTwo] = [await NetworkLab.up('192.0.2.1'), await NetworkLab.up('192.0.2.2')];
    await NetworkLab.join(labOne, labTwo);
    await NetworkLab.shareOutside(labOne, labTwo);
    outside = labOne.outside;
    one = new Site(labOne, 0x10, { n: 0x20, vtep: '192.0.2.2' });
    two = new Site(labTwo, 0x20, { n: 0x10, vtep: '192.0.2.1' });
    for (const site of [one, two]) {
      site.guest = await site.lab.guest({ id: id(site.n), mac: mac(site.n), mtu: 1450 });
      await site.apply();
      await site.guest.exec('ip', ['addr', 'add', `10.0.0.${site.n}/24`, 'dev', 'eth0']);
      await site.guest.exec('ip', ['route', 'add', 'default', 'via', '10.0.0.1']);
    }
  });
  afterAll(async () => {
    await one?.lab.down();
    await two?.lab.down();
  });

  it('is seen by others on its networks, and what nobody has is not', async () => {
    expect(await one.router(1, true)).toMatchObject({ state: 'applied' });
    expect(await outside.pings(FLOATING)).toBe(true);
    const targets = [
      { network: vxlan(NET, 1001), addresses: ['10.0.0.1', '2001:db8:1::1', '10.0.0.99', '2001:db8:1::99'] },
      { network: flat(PUBLIC), addresses: ['203.0.113.10', '203.0.113.99'] },
      { network: vxlan(id(0xabc), 77), addresses: ['10.9.0.1'] },
    ];
    const { answers, unknown_networks } = await two.part.probe({ targets });
    expect(answers).toEqual([
      { network_id: NET, address: '10.0.0.1', mac: mac(6) },
      { network_id: NET, address: '2001:db8:1::1', mac: mac(6) },
      { network_id: PUBLIC, address: '203.0.113.10', mac: mac(7) },
    ]);
    expect(unknown_networks).toEqual([id(0xabc)]);
    // the kernel takes the cables of a deleted namespace away in its own time
    const links = () => two.lab.host.machine.exec('ip', ['-br', 'link']);
    await until('the end of the probe’s cables', 60_000, async () => !(await links()).stdout.includes('prb'));
    expect((await two.lab.host.machine.exec('ip', ['netns', 'list'])).stdout).not.toContain('qprobe');
  });

  it('is taken away with what a probe left that was killed', async () => {
    const { machine } = two.lab.host;
    await machine.exec('ip', ['netns', 'add', 'qprobe-dead']);
    await machine.exec('ip', [
      'link',
      'add',
      'prbdead',
      'type',
      'veth',
      'peer',
      'p0',
      'netns',
      'qprobe-dead',
    ]);
    await two.part.probe({ targets: [{ network: vxlan(NET, 1001), addresses: ['10.0.0.99'] }] });
    expect((await machine.exec('ip', ['netns', 'list'])).stdout).not.toContain('qprobe');
    const gone = async () => !(await machine.succeeds('ip', ['link', 'show', 'prbdead']));
    await until('the end of the dead probe’s cable', 60_000, gone);
  });

  it('moves with a receipt: its neighbours follow, also to its floating IP', async () => {
    expect(await one.router(1, false)).toMatchObject({ state: 'applied' });
    expect(await one.runsRouter()).toBe(false);
    expect(await outside.pingsInVain(FLOATING)).toBe(true);
    expect(await two.router(2, true)).toMatchObject({ state: 'applied' });
    expect(await outside.pings(FLOATING)).toBe(true);
    expect(await one.guest.pings('203.0.113.1')).toBe(true);
    expect(await one.router(1, null)).toMatchObject({ state: 'gone' });
    expect(await one.part.plan(one.spec.spec)).toEqual([]);
  });

  it('announces itself: a switch that knows it elsewhere sends to the new host at once', async () => {
    // nothing but the announcement can tell: the outside only listens
    const learned = async () =>
      (await one.lab.host.machine.exec('bridge', ['fdb', 'show', 'br', 'br-ex'])).stdout.match(
        new RegExp(`${mac(7)} dev (\\S+)`),
      )?.[1];
    await expect.poll(learned).toBe('exlink');
    await two.router(2, false);
    await one.router(3, true);
    await expect.poll(learned).not.toBe('exlink');
    await one.router(3, false);
    await two.router(4, true);
    await expect.poll(learned).toBe('exlink');
  });

  it('does not run where its epoch is old or was given up, also after the agent was started again', async () => {
    for (const agent of ['running', 'started again']) {
      expect(await one.router(2, true), agent).toMatchObject({
        state: 'error',
        error: { message: expect.stringContaining('older than 3') },
      });
      expect(await one.router(3, true), agent).toMatchObject({
        state: 'error',
        error: { message: expect.stringContaining('given up') },
      });
      expect(await one.runsRouter()).toBe(false);
      one.part = createNetworkPart(one.lab.context);
    }
    expect(await outside.pings(FLOATING)).toBe(true);
  });

  it('does not run again on a host that was off while another one took it over', async () => {
    await two.router(4, false);
    await one.router(5, true);
    await one.reboot();
    // meanwhile, without host one: it is gone by witnesses
    expect(await two.router(6, true)).toMatchObject({ state: 'applied' });
    expect(await outside.pings(FLOATING)).toBe(true);

    const report = await one.apply();
    expect(report).toMatchObject({
      state: 'error',
      error: { code: 'address-in-use', message: expect.stringContaining(mac(6)) },
    });
    expect(await one.runsRouter()).toBe(false);
    expect(await one.router(5, false)).toMatchObject({ state: 'applied' });
    expect(await outside.pings(FLOATING)).toBe(true);
  });

  it('runs again after its host was off, where nobody took it over; a newer epoch is confirmation enough', async () => {
    await two.reboot();
    expect(await two.apply()).toMatchObject({ state: 'applied' });
    expect(await outside.pings(FLOATING)).toBe(true);
    // somebody else, no host of ours, has taken the gateway's address
    await two.reboot();
    await outside.exec('ip', ['addr', 'add', '203.0.113.10/32', 'dev', 'eth0']);
    expect(await two.apply()).toMatchObject({ state: 'error', error: { code: 'address-in-use' } });
    expect(await two.router(7, true)).toMatchObject({ state: 'applied' });
    await outside.exec('ip', ['addr', 'del', '203.0.113.10/32', 'dev', 'eth0']);
  });
});
