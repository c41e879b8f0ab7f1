import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetworkPart } from '../../agents/network/part.js';
import type { Part } from '../../agents/part.js';
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
  router as routerBody,
  rule,
  SpecBuilder,
  vxlan,
} from './network-spec.js';

const [PUBLIC, NET, ROUTER, QR, QG, GROUP] = ids([1, 2, 5, 6, 7, 8]);
const SHARED = '10.0.0.100';
const FLOATING = '203.0.113.50';
const VIRTUAL_MAC = '00:00:5e:00:01:07';
type Pairs = ObjectBodies['port']['allowed_address_pairs'];

/** A host with one guest; the first host has the router too. */
class Site {
  readonly spec = new SpecBuilder();
  readonly part: Part;
  guest!: Machine;

  constructor(
    readonly lab: NetworkLab,
    readonly n: number,
    peer: { readonly n: number; readonly vtep: string },
    hasRouter: boolean,
  ) {
    this.part = createNetworkPart(lab.context);
    const remote = hasRouter ? [peer.n] : [peer.n, 6];
    this.spec.put('network', PUBLIC, flat(PUBLIC));
    this.spec.put('network', NET, {
      ...vxlan(NET, 1001),
      peers: [peer.vtep],
      remote_ports: remote.map((n) => ({ mac: mac(n), vtep: peer.vtep })),
    });
    this.spec.put('security-group', GROUP, group(GROUP, [...egressAll(), rule('ingress')]));
    if (hasRouter) this.spec.put('router', ROUTER, router());
    this.allow([]);
  }

  allow(pairs: Pairs): ObjectKey {
    const body = port(id(this.n), NET, mac(this.n), [`10.0.0.${this.n}`], [GROUP]);
    return this.spec.put('port', id(this.n), { ...body, allowed_address_pairs: pairs });
  }

  async apply(...changed: ObjectKey[]): Promise<void> {
    const reports = await this.part.apply({
      spec: this.spec.spec,
      changed: changed.length ? new Set(changed) : null,
    });
    expect(reports.filter((report) => report.state === 'error')).toEqual([]);
  }

  /** What keepalived does when it becomes the master; with a MAC, on a device of its own. */
  async take(virtualMac?: string): Promise<void> {
    const device = virtualMac ? 'vrrp' : 'eth0';
    if (virtualMac) {
      await this.guest.exec('ip', [
        'link',
        'add',
        'vrrp',
        'link',
        'eth0',
        'address',
        virtualMac,
        'type',
        'macvlan',
        'mode',
        'private',
      ]);
      await this.guest.exec('ip', ['link', 'set', 'vrrp', 'up']);
    }
    await this.guest.exec('ip', ['addr', 'add', `${SHARED}/24`, 'dev', device]);
    await this.guest.exec('busybox', ['arping', '-U', '-c', '1', '-w', '1', '-I', device, SHARED], {
      okCodes: [0, 1],
    });
  }

  /** What it does when it is the master no longer. */
  async giveUp(virtualMac?: string): Promise<void> {
    if (virtualMac) await this.guest.exec('ip', ['link', 'del', 'vrrp']);
    else await this.guest.exec('ip', ['addr', 'del', `${SHARED}/24`, 'dev', 'eth0']);
  }

  /** How many pings the guest has answered. */
  async echoes(): Promise<number> {
    const { stdout } = await this.guest.exec('nstat', ['-asz', 'IcmpInEchos']);
    return Number(/IcmpInEchos\s+(\d+)/.exec(stdout)?.[1]);
  }
}

function router(): ObjectBodies['router'] {
  const floating = { floating_ip_address: FLOATING, fixed_ip_address: SHARED, port_id: id(0x99) };
  return routerBody(
    ROUTER,
    { qg: QG, network: PUBLIC },
    { qr: QR, network: NET },
    { floating_ips: [{ id: id(9), ...floating }] },
  );
}

describe('an address that moves between guests of two hosts', () => {
  let one: Site;
  let two: Site;
  let outside: Machine;

  const allow = async (pairs: (site: Site) => Pairs) => {
    for (const site of [one, two]) await site.apply(site.allow(pairs(site)));
  };

  beforeAll(async () => {
    const [labOne, labTwo] = [await NetworkLab.up('192.0.2.1'), await NetworkLab.up('192.0.2.2')];
    await NetworkLab.join(labOne, labTwo);
    outside = labOne.outside;
    one = new Site(labOne, 0x10, { n: 0x20, vtep: '192.0.2.2' }, true);
    two = new Site(labTwo, 0x20, { n: 0x10, vtep: '192.0.2.1' }, false);
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

  it('is nobody’s while no pair allows it', async () => {
    await two.take();
    expect(await one.guest.pingsInVain(SHARED)).toBe(true);
    expect(await outside.pingsInVain(FLOATING)).toBe(true);
    await two.giveUp();
  });

  it('is reached at the guest that took it, from its network and from outside', async () => {
    await allow((site) => [{ ip_address: `${SHARED}/32`, mac_address: mac(site.n) }]);
    for (const [from, to] of [
      [null, one],
      [one, two],
      [two, one],
    ] as const) {
      await from?.giveUp();
      await to.take();
      const before = await to.echoes();
      // the first ping already: nobody waits for an entry to grow old
      expect(await outside.pings(FLOATING)).toBe(true);
      const other = to === one ? two : one;
      expect(await other.guest.pings(SHARED)).toBe(true);
      expect(await to.echoes()).toBe(before + 2);
    }
    await one.giveUp();
  });

  it('moves with a MAC of its own as well (VRRP)', async () => {
    await allow((site) => [
      { ip_address: `${SHARED}/32`, mac_address: mac(site.n) },
      { ip_address: `${SHARED}/32`, mac_address: VIRTUAL_MAC },
    ]);
    for (const [from, to] of [
      [null, one],
      [one, two],
      [two, one],
      [one, two],
    ] as const) {
      await from?.giveUp(VIRTUAL_MAC);
      await to.take(VIRTUAL_MAC);
      const before = await to.echoes();
      expect(await outside.pings(FLOATING)).toBe(true);
      const other = to === one ? two : one;
      expect(await other.guest.pings(SHARED)).toBe(true);
      expect(await to.echoes()).toBe(before + 2);
    }
  });

  it('is lost with the pair', async () => {
    await allow(() => []);
    expect(await outside.pingsInVain(FLOATING)).toBe(true);
    expect(await one.guest.pingsInVain(SHARED)).toBe(true);
    await two.giveUp(VIRTUAL_MAC);
  });
});
