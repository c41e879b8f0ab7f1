import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  broadcast,
  cidrContains,
  cidrsOverlap,
  dottedMask,
  firstHost,
  lastHost,
  networkAddress,
  normaliseCidr,
  parseCidr,
  tryParseCidr,
} from '../../../src/net/cidr.js';
import { bigIntToIp, compareIps, ipToBigInt, ipVersion, normaliseIp } from '../../../src/net/ip.js';
import { eui64Address, linkLocalAddress, normaliseMac, randomMac } from '../../../src/net/mac.js';
import { bridgeName, dhcpNamespace, routerGatewayName, tapName, vxlanName } from '../../../src/net/names.js';
import {
  defaultPools,
  nthAddress,
  rangeContains,
  rangeSize,
  rangesOverlap,
  withoutAddress,
} from '../../../src/net/range.js';

const ipv4 = fc.nat({ max: 0xffffffff }).map((n) => bigIntToIp(BigInt(n), 4));
const ipv6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((n) => bigIntToIp(n, 6));

describe('ip', () => {
  it('tells addresses from other text', () => {
    expect(['10.0.0.1', '::1', '2001:DB8::1'].map(ipVersion)).toEqual([4, 6, 6]);
    const wrong = [
      '10.1',
      '010.0.0.1',
      '256.1.1.1',
      '10.0.0.1/24',
      'fe80::1%eth0',
      '',
      'host',
      '0x7f.0.0.1',
      '167772161',
    ];
    for (const text of wrong) expect(ipVersion(text), text).toBeNull();
  });

  it('writes IPv6 canonically', () => {
    expect(normaliseIp('2001:DB8:0:0:0:0:0:01')).toBe('2001:db8::1');
    expect(normaliseIp('2001:db8:0:0:1:0:0:1')).toBe('2001:db8::1:0:0:1');
    expect(normaliseIp('::')).toBe('::');
    expect(() => normaliseIp('nonsense')).toThrow("'nonsense' is not an IP address");
  });

  it('converts to numbers and back', () => {
    expect(ipToBigInt('10.0.0.1')).toBe(0x0a000001n);
    fc.assert(fc.property(fc.oneof(ipv4, ipv6), (ip) => bigIntToIp(ipToBigInt(ip), ipVersion(ip)!) === ip));
    expect(() => bigIntToIp(1n << 32n, 4)).toThrow('outside the IPv4 address space');
  });

  it('orders by value, IPv4 first', () => {
    expect(['::1', '10.0.0.10', '10.0.0.9'].sort(compareIps)).toEqual(['10.0.0.9', '10.0.0.10', '::1']);
  });
});

describe('cidr', () => {
  it('reads blocks', () => {
    expect(parseCidr('10.0.0.5/24')).toMatchObject({
      version: 4,
      address: '10.0.0.5',
      prefix: 24,
      first: 0x0a000000n,
    });
    expect(parseCidr('10.0.0.5').prefix).toBe(32);
    expect(parseCidr('0.0.0.0/0').last).toBe(0xffffffffn);
    for (const wrong of [
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0/24',
      '::/129',
      '10.0.0.0/24/1',
      '10.0.0.0/-1',
      'a/8',
    ]) {
      expect(tryParseCidr(wrong), wrong).toBeNull();
    }
  });

  it('writes blocks without host bits', () => {
    expect(normaliseCidr('10.0.0.5/24')).toBe('10.0.0.0/24');
    expect(normaliseCidr('2001:DB8::5/64')).toBe('2001:db8::/64');
    expect(networkAddress('192.0.2.130/25')).toBe('192.0.2.128');
  });

  it('knows the hosts of a block', () => {
    expect([firstHost('10.0.0.0/24'), lastHost('10.0.0.0/24'), broadcast('10.0.0.0/24')]).toEqual([
      '10.0.0.1',
      '10.0.0.254',
      '10.0.0.255',
    ]);
    expect([firstHost('10.0.0.4/31'), lastHost('10.0.0.4/31'), broadcast('10.0.0.4/31')]).toEqual([
      '10.0.0.4',
      '10.0.0.5',
      null,
    ]);
    expect([firstHost('2001:db8::/64'), lastHost('2001:db8::/64'), broadcast('2001:db8::/64')]).toEqual([
      '2001:db8::1',
      '2001:db8::ffff:ffff:ffff:ffff',
      null,
    ]);
    expect(dottedMask('10.0.0.0/20')).toBe('255.255.240.0');
  });

  it('compares blocks', () => {
    expect(cidrContains('10.0.0.0/8', '10.255.0.0/16')).toBe(true);
    expect(cidrContains('10.0.0.0/24', '10.0.1.1')).toBe(false);
    expect(cidrContains('::/0', '10.0.1.1')).toBe(false);
    expect(cidrsOverlap('10.0.0.0/24', '10.0.0.128/25')).toBe(true);
    expect(cidrsOverlap('10.0.0.0/25', '10.0.0.128/25')).toBe(false);
  });

  it('contains its own hosts, in any block', () => {
    const block = fc.oneof(fc.tuple(ipv4, fc.nat({ max: 32 })), fc.tuple(ipv6, fc.nat({ max: 128 })));
    fc.assert(
      fc.property(block, ([ip, prefix]) => {
        const text = `${ip}/${prefix}`;
        return [ip, firstHost(text), lastHost(text), networkAddress(text)].every((host) =>
          cidrContains(text, host),
        );
      }),
    );
  });
});

describe('range', () => {
  it('makes the default pools as Neutron does', () => {
    expect(defaultPools('10.0.0.0/24', '10.0.0.1')).toEqual([{ start: '10.0.0.2', end: '10.0.0.254' }]);
    expect(defaultPools('10.0.0.0/24', '10.0.0.100')).toEqual([
      { start: '10.0.0.1', end: '10.0.0.99' },
      { start: '10.0.0.101', end: '10.0.0.254' },
    ]);
    expect(defaultPools('10.0.0.0/24', '10.0.0.254')).toEqual([{ start: '10.0.0.1', end: '10.0.0.253' }]);
    expect(defaultPools('10.0.0.0/24', null)).toEqual([{ start: '10.0.0.1', end: '10.0.0.254' }]);
    expect(defaultPools('10.0.0.7/32', null)).toEqual([{ start: '10.0.0.7', end: '10.0.0.7' }]);
    expect(defaultPools('10.0.0.0/31', null)).toEqual([]);
    expect(defaultPools('2001:db8::/64', '2001:db8::1')).toEqual([
      { start: '2001:db8::2', end: '2001:db8::ffff:ffff:ffff:ffff' },
    ]);
  });

  it('counts and picks', () => {
    const pools = [
      { start: '10.0.0.2', end: '10.0.0.3' },
      { start: '10.0.0.10', end: '10.0.0.10' },
    ];
    expect(pools.map(rangeSize)).toEqual([2n, 1n]);
    expect([0n, 1n, 2n, 3n].map((n) => nthAddress(pools, n))).toEqual([
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.10',
      null,
    ]);
    expect(rangeContains(pools[0]!, '10.0.0.4')).toBe(false);
    expect(rangesOverlap(pools[0]!, pools[1]!)).toBe(false);
    expect(withoutAddress(pools, '10.0.0.10')).toEqual([pools[0]]);
  });

  it('loses exactly the address taken out', () => {
    fc.assert(
      fc.property(fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.nat({ max: 255 }), (a, b, out) => {
        const range = { start: `10.0.0.${Math.min(a, b)}`, end: `10.0.0.${Math.max(a, b)}` };
        const rest = withoutAddress([range], `10.0.0.${out}`);
        for (let i = 0; i < 256; i++) {
          const expected = rangeContains(range, `10.0.0.${i}`) && i !== out;
          if (rest.some((r) => rangeContains(r, `10.0.0.${i}`)) !== expected) return false;
        }
        return true;
      }),
    );
  });
});

describe('mac', () => {
  it('makes MACs and addresses from them', () => {
    expect(randomMac()).toMatch(/^fa:16:3e(:[0-9a-f]{2}){3}$/);
    expect(normaliseMac('FA-16-3E-00-00-0A')).toBe('fa:16:3e:00:00:0a');
    expect(() => normaliseMac('fa:16:3e:0:0:0')).toThrow('not a MAC address');
    expect(eui64Address('2001:db8::/64', 'fa:16:3e:00:00:01')).toBe('2001:db8::f816:3eff:fe00:1');
    expect(linkLocalAddress('00:00:5e:00:01:0a')).toBe('fe80::200:5eff:fe00:10a');
    expect(() => eui64Address('2001:db8::/80', 'fa:16:3e:00:00:01')).toThrow('no room');
  });
});

describe('names', () => {
  it('fit into 15 characters', () => {
    const id = '01234567-89ab-cdef-0123-456789abcdef';
    expect(tapName(id)).toBe('tap01234567-89');
    expect(bridgeName(id)).toBe('brq01234567-89');
    expect(routerGatewayName(id)).toBe('qg-01234567-89');
    expect(vxlanName(1001)).toBe('vxlan-1001');
    expect(dhcpNamespace(id)).toBe(`qdhcp-${id}`);
  });
});
