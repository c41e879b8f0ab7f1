import { existsSync } from 'node:fs';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Managed, ManagedHost, until } from './bridge-managers-lab.js';

/**
 * Each manager on a machine with real systemd: an uplink with an address by DHCP and others that are fixed, in both families, with
 * a route and a rule of another table.
 */
const STATIC = ['2001:db8:1::10/64', '203.0.113.10/24'];
const TAKEOVER = ['br-ex', '--uplink', 'eth0', '--peer', '203.0.113.1', '--peer', '2001:db8:1::1'];
const CASE_MS = 300_000;

const MANAGERS: Readonly<Record<string, Managed>> = {
  networkd: {
    units: ['systemd-networkd.service'],
    files: {
      '/etc/systemd/network/20-lan.network': {
        content: `[Match]
Name=eth*

[Network]
DHCP=ipv4
IPv6AcceptRA=no
Address=203.0.113.10/24
Address=2001:db8:1::10/64
Gateway=2001:db8:1::1

[Route]
Destination=198.51.100.0/24
Gateway=203.0.113.1
Table=100
Metric=50

[RoutingPolicyRule]
From=203.0.113.10
Table=100
Priority=5000
`,
      },
    },
  },
  netplan: {
    units: ['systemd-networkd.service'],
    files: {
      '/etc/netplan/50-cloud-init.yaml': {
        mode: 0o600,
        content: `# written at installation
network:
  version: 2
  ethernets:
    lan0:
      match: {macaddress: "52:54:00:00:00:10"}
      set-name: eth0
      dhcp4: true
      accept-ra: false
      addresses: [203.0.113.10/24, "2001:db8:1::10/64"]
      routes:
        - {to: default, via: "2001:db8:1::1"}
        - {to: 198.51.100.0/24, via: 203.0.113.1, table: 100, metric: 50}
      routing-policy:
        - {from: 203.0.113.10, table: 100, priority: 5000}
`,
      },
      // a veth has no permanent MAC, which netplan makes networkd look for: the one that it has stands in for it
      '/etc/systemd/network/10-netplan-lan0.network.d/veth.conf': {
        content: '[Match]\nPermanentMACAddress=\nMACAddress=52:54:00:00:00:10\n',
      },
    },
  },
  ifupdown: {
    units: ['networking.service'],
    files: {
      '/etc/network/interfaces': {
        content: `source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
    up ip addr add 203.0.113.10/24 dev eth0
    up ip route add 198.51.100.0/24 via 203.0.113.1 dev eth0 table 100 metric 50
    up ip rule add from 203.0.113.10 lookup 100 priority 5000
    down ip rule del from 203.0.113.10 lookup 100 priority 5000
`,
      },
      '/etc/network/interfaces.d/v6': {
        content: `iface eth0 inet6 static
    address 2001:db8:1::10/64
    gateway 2001:db8:1::1
    accept_ra 0
`,
      },
    },
  },
  NetworkManager: {
    units: ['NetworkManager.service'],
    files: {
      '/etc/NetworkManager/system-connections/lan.nmconnection': {
        mode: 0o600,
        content: `[connection]
id=lan
uuid=11111111-2222-3333-4444-555555555555
type=ethernet
interface-name=eth0

[ipv4]
method=auto
address1=203.0.113.10/24
route1=198.51.100.0/24,203.0.113.1,50
route1_options=table=100
routing-rule1=priority 5000 from 203.0.113.10 table 100

[ipv6]
method=manual
address1=2001:db8:1::10/64,2001:db8:1::1
`,
      },
    },
  },
};

let host: ManagedHost;

beforeAll(async () => {
  // brings dist up to date
  await execa('scripts/maru', ['--version']);
  host = await ManagedHost.up(['maru-bridge-revert.service']);
}, 600_000);

afterAll(() => host?.down());

describe.each(Object.entries(MANAGERS))('%s', (name, managed) => {
  let before: State;

  beforeAll(async () => {
    await host.managedBy(managed);
    await until(`${name} has configured the uplink`, () => settled('eth0', managed));
    before = await state('eth0');
  }, CASE_MS);

  it(
    'is found out, and a change that nobody confirms leaves no trace',
    async () => {
      // networkd asks for its lease anew after a revert: the host is reached before the server answers
      const muted = managed.units.includes('systemd-networkd.service');
      try {
        const { taken, addresses } = await onTrial(before, muted);
        expect(taken.exitCode, said(taken)).toBe(0);
        expect(taken.stdout).toContain('maru bridge confirm');
        expect(addresses).toEqual(before.addresses);
        if (muted) await until('the host is reached without a lease', () => reachedWithoutLease(before));
      } finally {
        host.muteServer(false);
      }
      await until('it is undone', undone);
      await until('the host is reached', () => reached(before));
      await asBefore(before);
      expect(await bridgeIsThere()).toBe(false);
    },
    CASE_MS,
  );

  it(
    'a power cut during the trial brings the uplink back at boot',
    async () => {
      const taken = await host.maru(...TAKEOVER, '--wait-confirm');
      expect(taken.exitCode, said(taken)).toBe(0);
      await host.reboot();
      await until(`${name} has configured the uplink`, () => settled('eth0', managed));
      await asBefore(before);
    },
    CASE_MS,
  );

  it(
    'the takeover stays: over leases and boots',
    async () => {
      const taken = await host.maru(...TAKEOVER, '--steady', '2');
      expect(taken.exitCode, said(taken)).toBe(0);
      await until('the host is reached', () => reached(before));
      await bridgedAs(before);
      const renewals = host.acknowledged();
      await until('two leases more', async () => host.acknowledged() > renewals + 1);
      expect(await host.addresses('eth0')).toEqual([]);
      await bridgedAs(before);

      await host.reboot();
      await until(`${name} has configured the bridge`, () => settled('br-ex', managed));
      expect(await host.addresses('eth0')).toEqual([]);
      await bridgedAs(before);
      await until('the host is reached', () => reached(before));
      const link = await host.machine.must('ip', ['-d', 'link', 'show', 'br-ex']);
      expect(link).toMatch(/stp_state 0 /);
      expect(link).toMatch(/mcast_snooping 0 /);
      expect(link).toContain('52:54:00:00:00:10');
    },
    CASE_MS,
  );

  it(
    'a release gives it back',
    async () => {
      const released = await host.maru('release', 'br-ex', '--peer', '203.0.113.1', '--steady', '2');
      expect(released.exitCode, said(released)).toBe(0);
      await asBefore(before);
      expect(await bridgeIsThere()).toBe(false);
      await until('the host is reached', () => reached(before));
    },
    CASE_MS,
  );
});

/** Debian 13's default: one client for leases, router advertisements and DHCPv6. */
describe.skipIf(!existsSync('/usr/sbin/dhcpcd'))('ifupdown with dhcpcd', () => {
  let before: State;

  const managed: Managed = {
    units: ['networking.service'],
    files: {
      '/etc/network/interfaces': {
        content: 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n',
      },
      // without looking for others that have the address, which takes 5 s
      '/etc/dhcpcd.conf': { content: 'hostname\nduid\npersistent\nslaac private\nnoarp\n' },
    },
  };
  const given = async (device: string) =>
    (await advertised(device)) &&
    (await host.configured(device, managed)) &&
    (await host.routes(device)).some((r) => r.startsWith('default via 192.0.2.1'));

  beforeAll(async () => {
    await host.advertise();
    // this version of ifupdown prefers it when it is there
    await host.machine.must('rm', ['-f', '/sbin/dhclient']);
    await host.managedBy(managed);
    await until('dhcpcd has configured the uplink', () => given('eth0'));
    before = await state('eth0');
  }, CASE_MS);

  it(
    'its addresses are the same on the bridge, and again on the uplink when that is undone',
    async () => {
      const taken = await host.maru('br-ex', '--uplink', 'eth0', '--wait-confirm');
      expect(taken.exitCode, said(taken)).toBe(0);
      const leases = host.acknowledged();
      await until('the lease is renewed', async () => host.acknowledged() > leases);
      await soon(() => host.addresses('br-ex'), before.addresses);
      await until('the host is reached', () => reached(before));
      expect((await host.maru('revert')).stdout).toContain('as it was before');
      const again = host.acknowledged();
      await until('the lease is asked for again', async () => host.acknowledged() > again);
      await asBefore(before);
      await until('the host is reached', () => reached(before));
    },
    CASE_MS,
  );

  it(
    'the takeover stays over a boot, and a release gives it back',
    async () => {
      const taken = await host.maru('br-ex', '--uplink', 'eth0', '--steady', '1');
      expect(taken.exitCode, said(taken)).toBe(0);
      await host.reboot();
      await until('dhcpcd has configured the bridge', () => given('br-ex'));
      expect(await host.addresses('eth0')).toEqual([]);
      await bridgedAs(before);
      await until('the host is reached', () => reached(before));
      const released = await host.maru('release', 'br-ex', '--steady', '1');
      expect(released.exitCode, said(released)).toBe(0);
      await asBefore(before);
      await until('the host is reached', () => reached(before));
    },
    CASE_MS,
  );
});

describe('netplan with advertised addresses', () => {
  it(
    'they are on the bridge, and again on the uplink after a release',
    async () => {
      const { files, units } = MANAGERS.netplan!;
      const path = '/etc/netplan/50-cloud-init.yaml';
      const content = files[path]!.content.replace('accept-ra: false', 'dhcp6: true');
      await host.advertise();
      await host.managedBy({ units, files: { ...files, [path]: { content, mode: 0o600 } } });
      const given = async () => (await settled('eth0', MANAGERS.netplan!)) && (await advertised('eth0'));
      await until('netplan has configured the uplink', given);
      const before = await state('eth0');
      const taken = await host.maru(...TAKEOVER, '--steady', '1');
      expect(taken.exitCode, said(taken)).toBe(0);
      await soon(() => host.addresses('br-ex'), before.addresses);
      await until('the host is reached', () => reached(before));
      const released = await host.maru('release', 'br-ex', '--peer', '203.0.113.1', '--steady', '1');
      expect(released.exitCode, said(released)).toBe(0);
      await asBefore(before);
      await until('the host is reached', () => reached(before));
    },
    CASE_MS,
  );
});

/**
 * A change that is undone by itself after a few seconds, and the bridge's addresses before that; after more of them on a machine so busy
 * that those were over first. `mute`: from then on the DHCP server answers nothing.
 */
async function onTrial(before: State, mute: boolean) {
  for (const seconds of [4, 20, 80]) {
    const end = Date.now() + seconds * 1000;
    const taken = await host.maru(...TAKEOVER, '--wait-confirm', '--confirm-within', `${seconds}`);
    const addresses = await host.addresses('br-ex');
    if (mute) host.muteServer(true);
    if (Date.now() < end) return { taken, addresses };
    host.muteServer(false);
    await until('it is undone', undone);
    await asBefore(before);
  }
  throw new Error('a trial of 80 s was over before it was looked at');
}

async function undone(): Promise<boolean> {
  return /on trial: +nothing/.test((await host.maru('status')).stdout);
}

/** By an address that is not that of a lease. */
async function reachedWithoutLease(before: State): Promise<boolean> {
  if ((await bridgeIsThere()) || !(await reached(before))) return false;
  return (await host.addresses('eth0')).some((address) => /^192\.0\.2\.\d+\/32$/.test(address));
}

async function bridgeIsThere(): Promise<boolean> {
  return (await host.machine.run('ip', ['link', 'show', 'br-ex'])).exitCode === 0;
}

interface State {
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly files: string;
}

async function state(device: string): Promise<State> {
  return {
    addresses: await host.addresses(device),
    routes: await host.routes(device),
    files: await host.files(),
  };
}

async function asBefore(before: State): Promise<void> {
  await soon(() => state('eth0'), before);
}

/** The bridge has what the uplink had. */
async function bridgedAs({ addresses, routes }: State): Promise<void> {
  const look = async () => ({ addresses: await host.addresses('br-ex'), routes: await host.routes('br-ex') });
  await soon(look, { addresses, routes });
}

/** What is wanted is seen soon; the first difference is shown when not. */
async function soon<T>(look: () => Promise<T>, wanted: T): Promise<void> {
  let seen = await look();
  for (const end = Date.now() + 60_000; !same(seen, wanted) && Date.now() < end; ) seen = await look();
  expect(seen).toEqual(wanted);
}

function same<T>(one: T, other: T): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The manager has done its work: all addresses are usable, the router is known, and the other table has its route and rule. */
async function settled(device: string, managed: Managed): Promise<boolean> {
  const addresses = await host.addresses(device);
  const routes = await host.routes(device);
  return (
    STATIC.every((address) => addresses.includes(address)) &&
    addresses.some((address) => address.startsWith('192.0.2.')) &&
    routes.some((route) => route.startsWith('default via 192.0.2.1')) &&
    routes.some((route) => route.startsWith('default via 2001:db8:1::1')) &&
    routes.some((route) => route.startsWith('198.51.100.0/24')) &&
    routes.some((route) => route.includes('lookup 100')) &&
    (await host.configured(device, managed))
  );
}

/** What comes by DHCPv6 and router advertisements is there, and the router, too. */
async function advertised(device: string): Promise<boolean> {
  const there = await host.addresses(device);
  const given = [/^2001:db8:5::1[0-9a-f]{3}\/128$/, /^2001:db8:5:0:.*\/64$/];
  return (
    given.every((one) => there.some((address) => one.test(address))) &&
    (await host.routes(device)).some((route) => route.startsWith('default via fe80::'))
  );
}

function reached({ addresses }: State): Promise<boolean> {
  return host.reachable(...addresses.map((address) => address.split('/')[0]!));
}

function said({ stdout, stderr }: { stdout: string; stderr: string }): string {
  return `${stdout}\n${stderr}`;
}
