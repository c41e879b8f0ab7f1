import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { baseline, checksFor } from '../../agents/bridge/checks.js';
import { differences, lost, stillOn } from '../../agents/bridge/compare.js';
import type { UplinkFacts } from '../../agents/bridge/facts.js';
import { rulesNaming } from '../../agents/bridge/firewall.js';
import { parseAddresses, parseLinks, parseRoutes, parseRules } from '../../agents/bridge/ip-json.js';
import { words } from '../../agents/bridge/lines.js';
import { BridgeRefusal } from '../../agents/bridge/manager.js';
import type { LinkState, Snapshot } from '../../agents/bridge/model.js';
import {
  refuseOtherPorts,
  refuseTakeover,
  takeoverWarnings,
  uplinkOf,
} from '../../agents/bridge/refusals.js';

const said = JSON.parse(
  readFileSync(new URL('../golden/bridge/host.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;
const json = (what: string) => JSON.stringify(said[what]);

const HOST: Snapshot = {
  device: 'eth0',
  bootId: 'boot',
  uptimeSeconds: 1000,
  links: parseLinks(json('link')),
  addresses: parseAddresses(json('addr'), 'eth0'),
  routes: [...parseRoutes(json('route4'), 4), ...parseRoutes(json('route6'), 6)],
  rules: [...parseRules(json('rule4'), 4), ...parseRules(json('rule6'), 6)],
  neighbours: [],
  sysctls: [{ path: 'ipv4/conf/DEV/rp_filter', value: '1' }],
};
const ETH0 = HOST.links.find(({ name }) => name === 'eth0')!;
const PLAIN: UplinkFacts = { driver: 'e1000e', wireless: false, vendor: '', lockedRoutes: [] };

const withLinks = (...links: readonly LinkState[]): Snapshot => ({
  ...HOST,
  links: [...HOST.links.filter(({ name }) => !links.some((link) => link.name === name)), ...links],
});
const link = (name: string, changes: Partial<LinkState>): LinkState => ({
  ...ETH0,
  name,
  parent: null,
  ...changes,
});

describe('what is refused, and says why and what to do', () => {
  const refused: Readonly<Record<string, readonly [Snapshot, RegExp, Partial<UplinkFacts>?]>> = {
    'no such device': [
      { ...HOST, links: HOST.links.filter(({ name }) => name === 'lo') },
      /no network device eth0/,
    ],
    'a VLAN on it': [
      withLinks(link('eth0.7', { kind: 'vlan', parent: 'eth0' })),
      /eth0\.7 \(vlan\) is made on eth0: .*\n.*, or eth0\.7 itself$/,
    ],
    'a macvlan on it': [withLinks(link('mv0', { kind: 'macvlan', parent: 'eth0' })), /mv0 \(macvlan\)/],
    'a macvtap on it': [withLinks(link('mt0', { kind: 'macvtap', parent: 'eth0' })), /mt0 \(macvtap\)/],
    'an ipvlan on it': [withLinks(link('iv0', { kind: 'ipvlan', parent: 'eth0' })), /iv0 \(ipvlan\)/],
    'a tunnel bound to it': [
      withLinks(link('vx0', { kind: 'vxlan', details: { link: 'eth0' } })),
      /vx0 \(vxlan\)/,
    ],
    'it is a macvlan': [
      withLinks(link('eth0', { kind: 'macvlan', parent: 'eth9' })),
      /passes only its own MAC\n.*take over eth9/,
    ],
    wireless: [HOST, /eth0 is wireless/, { wireless: true }],
    'not Ethernet': [withLinks(link('eth0', { hardwareType: 512 })), /not an Ethernet device/],
    'a bridge': [withLinks(link('eth0', { kind: 'bridge' })), /is a bridge itself/],
    'a port of a bridge': [
      withLinks(link('eth0', { master: 'br1', masterKind: 'bridge' })),
      /is a port of br1 \(bridge\) already/,
    ],
    'a port of a bond': [
      withLinks(link('eth0', { master: 'bond0', masterKind: 'bond' })),
      /take over bond0 instead/,
    ],
    'a bond in balance-alb': [
      withLinks(link('eth0', { kind: 'bond', details: { mode: 'balance-alb' } })),
      /mode balance-alb/,
    ],
    'a bond in balance-tlb': [
      withLinks(link('eth0', { kind: 'bond', details: { mode: 'balance-tlb' } })),
      /mode balance-tlb/,
    ],
    'a bond with fail_over_mac': [
      withLinks(link('eth0', { kind: 'bond', details: { mode: 'active-backup', fail_over_mac: 'active' } })),
      /fail_over_mac=active/,
    ],
    down: [withLinks(link('eth0', { flags: ['BROADCAST'] })), /eth0 is down/],
    'no carrier': [withLinks(link('eth0', { flags: ['UP', 'NO-CARRIER'] })), /no carrier/],
    'the bridge is there with another port': [
      withLinks(link('br-ex', { kind: 'bridge' }), link('eth9', { master: 'br-ex' })),
      /a bridge br-ex already, with the port\(s\) eth9/,
    ],
    'the bridge is there and empty': [
      withLinks(link('br-ex', { kind: 'bridge' })),
      /with no port\n.*ip link del br-ex/,
    ],
    'the name is taken': [withLinks(link('br-ex', { kind: 'dummy' })), /it is no bridge \(dummy\)/],
    'a route with what is not understood': [
      { ...HOST, routes: HOST.routes.map((route) => ({ ...route, unknown: ['nhid'] })) },
      /cannot be moved: nhid/,
    ],
    'a locked metric': [
      HOST,
      /locked metric/,
      { lockedRoutes: ['default via 192.0.2.1 dev eth0 mtu lock 1300'] },
    ],
  };

  it.each(Object.entries(refused))('%s', (_name, [snapshot, why, facts]) => {
    const attempt = () => refuseTakeover(snapshot, 'br-ex', 'eth0', { ...PLAIN, ...facts });
    expect(attempt).toThrow(BridgeRefusal);
    expect(attempt).toThrow(why);
    // a reason and a way out
    expect(attempt).toThrow(/\n {2}\S/);
  });

  it('nothing of a plain uplink, a bond in active-backup, and one with a veth', () => {
    refuseTakeover(HOST, 'br-ex', 'eth0', PLAIN);
    const bond = link('eth0', { kind: 'bond', details: { mode: 'active-backup', fail_over_mac: 'none' } });
    refuseTakeover(withLinks(bond), 'br-ex', 'eth0', PLAIN);
    refuseTakeover(withLinks(link('veth1', { kind: 'veth', parent: 'eth0' })), 'br-ex', 'eth0', PLAIN);
  });

  it('nothing of a VLAN as the uplink itself: only what is below it would lose it', () => {
    const vlan = link('eth0.7', { kind: 'vlan', parent: 'eth0', details: { protocol: '802.1Q', id: 7 } });
    refuseTakeover({ ...withLinks(vlan), device: 'eth0.7', routes: [] }, 'br-ex', 'eth0.7', PLAIN);
    const stacked = link('eth0.7.9', { kind: 'vlan', parent: 'eth0.7' });
    const both = { ...withLinks(vlan, stacked), device: 'eth0.7', routes: [] };
    expect(() => refuseTakeover(both, 'br-ex', 'eth0.7', PLAIN)).toThrow(
      /eth0\.7\.9 \(vlan\) is made on eth0\.7/,
    );
  });

  it('names that a shell would read', () => {
    for (const name of ['br ex', 'br;ex', '$br', '../br', 'br-ex-is-much-too-long'])
      expect(() => refuseTakeover(HOST, name, 'eth0', PLAIN)).toThrow(/not a device name/);
    for (const word of ['a b', 'a;b', '$(reboot)', '`x`', '', 'a\nb', "'"])
      expect(() => words([word])).toThrow();
  });

  it('a release that would cut others off, or cannot tell the uplink', () => {
    const port = (name: string, kind: string | null) =>
      link(name, { master: 'br-ex', masterKind: 'bridge', kind });
    const bridge = link('br-ex', { kind: 'bridge' });
    const routed = withLinks(bridge, port('eth0', null), port('qg-12345678-90', 'veth'));
    expect(uplinkOf(routed, 'br-ex')).toBe('eth0');
    expect(() => refuseOtherPorts(routed, 'br-ex', 'eth0')).toThrow(/qg-12345678-90 would be cut off/);
    expect(() => uplinkOf(withLinks(bridge, port('eth0', null), port('eth1', null)), 'br-ex')).toThrow(
      /several ports/,
    );
    expect(() => uplinkOf(withLinks(bridge), 'br-ex')).toThrow(/no uplink/);
  });
});

describe('what is said and not refused', () => {
  it('NICs whose hypervisor filters MACs', () => {
    expect(takeoverWarnings('eth0', PLAIN)).toEqual([]);
    expect(takeoverWarnings('eth0', { ...PLAIN, driver: 'hv_netvsc' })[0]).toMatch(/MAC address spoofing/);
    expect(takeoverWarnings('eth0', { ...PLAIN, driver: 'ena' })[0]).toMatch(/Amazon EC2/);
    expect(takeoverWarnings('eth0', { ...PLAIN, driver: 'virtio_net', vendor: 'Hetzner' })[0]).toMatch(
      /Hetzner/,
    );
    expect(takeoverWarnings('eth0', { ...PLAIN, driver: 'virtio_net', vendor: 'QEMU' })[0]).toMatch(
      /cannot be seen/,
    );
  });

  it('firewall rules that name the uplink, and no others', () => {
    const listing = `-A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT
-A INPUT -i eth01 -j ACCEPT
-A INPUT -i eth+ -j ACCEPT
-A INPUT -i wlan0 -m comment --comment "not eth0-like" -j DROP
iifname "eth0" tcp dport 22 accept
iifname { "lo", "eth0" } accept
iifname "eth*" accept
### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in_eth0`;
    expect(rulesNaming(listing, 'eth0')).toEqual([
      '-A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT',
      '-A INPUT -i eth+ -j ACCEPT',
      'iifname "eth0" tcp dport 22 accept',
      'iifname { "lo", "eth0" } accept',
      'iifname "eth*" accept',
      '### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in_eth0',
    ]);
  });
});

describe('checks', () => {
  it('are the gateways of the main table and what was named', () => {
    const checks = checksFor(HOST, { controller: 'https://cloud:5443', peers: ['192.0.2.7'] });
    expect(checks.map(({ kind, target }) => `${kind} ${target}`)).toEqual([
      'gateway 192.0.2.1',
      'gateway 198.51.100.1',
      'gateway fe80::1',
      'peer 192.0.2.7',
      'controller https://cloud:5443',
    ]);
  });

  it('what was silent before is not asked afterwards; what was named must not be silent', () => {
    const result = (kind: 'gateway' | 'peer', ok: boolean) => ({ kind, target: '192.0.2.1', ok, detail: '' });
    const mixed = baseline('eth0', [result('gateway', false), result('peer', true)], true);
    expect(mixed.checks).toEqual([{ kind: 'peer', target: '192.0.2.1' }]);
    expect(mixed.warnings).toHaveLength(1);
    expect(() => baseline('eth0', [result('gateway', true), result('peer', false)], true)).toThrow(
      /peer 192.0.2.1/,
    );
    expect(() => baseline('eth0', [result('gateway', false)], true)).toThrow(/--wait-confirm/);
    expect(() => baseline('eth0', [], true)).toThrow(/--peer/);
    expect(baseline('eth0', [], false).checks).toEqual([]);
  });
});

describe('comparing', () => {
  it('what goes on by itself is no difference', () => {
    const later = {
      ...HOST,
      addresses: HOST.addresses.map((a) => ({ ...a, validSeconds: a.validSeconds && a.validSeconds - 60 })),
      routes: HOST.routes.map((r) => ({ ...r, expires: r.expires && r.expires - 60 })),
    };
    expect(differences(HOST, later)).toEqual([]);
  });

  it('everything else is', () => {
    const [first, ...rest] = HOST.addresses;
    expect(differences(HOST, { ...HOST, addresses: rest })).toEqual([
      expect.stringContaining(first!.address),
    ]);
    const routes = HOST.routes.filter(
      ({ table, destination }) => !(table === 101 && destination === 'default'),
    );
    expect(differences(HOST, { ...HOST, routes })).toEqual([
      expect.stringMatching(/^missing: route default table 101/),
    ]);
    expect(differences({ ...HOST, routes }, HOST)).toEqual([expect.stringMatching(/^too much: route/)]);
    expect(differences(HOST, { ...HOST, rules: [] })).toHaveLength(2);
    expect(differences(HOST, withLinks(link('eth0', { mtu: 1499 })))).toEqual([
      'eth0: mtu was 1400, is 1499',
    ]);
    expect(differences(HOST, withLinks(link('br-ex', { kind: 'bridge' })))).toEqual([
      'too much: the device br-ex',
    ]);
    const sysctls = [{ path: 'ipv4/conf/DEV/rp_filter', value: '2' }];
    expect(differences(HOST, { ...HOST, sysctls })).toEqual(['ipv4/conf/eth0/rp_filter: was 1, is 2']);
  });

  it('an address that another machine has is lost', () => {
    const addresses = HOST.addresses.map((address) => ({
      ...address,
      dadFailed: address.address === '2001:db8::10',
    }));
    expect(lost(HOST, HOST, 'eth0')).toEqual([]);
    expect(lost(HOST, { ...HOST, addresses }, 'eth0')).toEqual([
      expect.stringContaining('2001:db8::10 is used'),
    ]);
  });

  it('a leased address that had lost its metric may have it again', () => {
    const [address] = HOST.addresses;
    const leased = (metric: number | null): Snapshot => ({
      ...HOST,
      addresses: [{ ...address!, dynamic: true, validSeconds: 60, metric }],
      routes: [],
    });
    expect(lost(leased(null), leased(1024), 'eth0')).toEqual([]);
    expect(lost(leased(1024), leased(null), 'eth0')).toEqual([expect.stringContaining(' metric 1024 ')]);
    expect(differences(leased(null), leased(1024))).toHaveLength(2);
  });

  it('what is still on the device that it was taken from is told, however it looks there', () => {
    const moved: Snapshot = { ...HOST, device: 'br-ex', addresses: [], routes: [], rules: [] };
    expect(stillOn(HOST, moved, 'eth0')).toEqual([]);
    // as a DHCP client would put it back: with another lifetime and metric
    const address = { ...HOST.addresses[0]!, validSeconds: 77, dynamic: true, metric: 1002 };
    const [route] = HOST.routes.filter(({ destination }) => destination === 'default');
    const back = { ...moved, addresses: [address], routes: [{ ...route!, metric: 1002, protocol: 16 }] };
    expect(stillOn(HOST, back, 'eth0')).toEqual([
      `${address.address}/${address.prefix}`,
      expect.stringMatching(/^route to default \(table \d+\)$/),
    ]);
    // an address that was not taken along is somebody else's
    expect(stillOn(HOST, { ...moved, addresses: [{ ...address, address: '203.0.113.9' }] }, 'eth0')).toEqual(
      [],
    );
  });
});
