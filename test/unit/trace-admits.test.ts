import { describe, expect, it } from 'vitest';
import { admission } from '../../src/core/trace/admits.js';
import type { Traffic } from '../../src/core/trace/model.js';
import type { SecurityRule } from '../../src/protocol/objects.js';
import { group, id, mac, port, rule } from '../lab/network-spec.js';

const NET = id(2);
const ANY: Traffic = { protocol: null, port: null, from: null };

function ask(rules: readonly SecurityRule[], traffic: Partial<Traffic>, version: 4 | 6 = 4, secure = true) {
  const guest = { ...port(id(3), NET, mac(3), ['10.0.0.3'], [id(8)]), port_security: secure };
  const membersOf = (groupId: string) =>
    groupId === id(9)
      ? { group_id: id(9), network_id: NET, ipv4: ['10.0.0.7'], ipv6: ['2001:db8::7'] }
      : undefined;
  return admission(guest, [group(id(8), rules)], membersOf, { ...ANY, ...traffic }, version);
}

const tcp = (more: Partial<SecurityRule> = {}) =>
  rule('ingress', { protocol: 'tcp', port_range_min: 80, port_range_max: 90, ...more });

describe('which rule admits traffic', () => {
  it.each<[string, Partial<SecurityRule>, Partial<Traffic>, boolean]>([
    ['any traffic by any rule', {}, {}, true],
    ['a port within the range', {}, { protocol: 'tcp', port: 85 }, true],
    ['its last port', {}, { protocol: 'tcp', port: 90 }, true],
    ['a port beyond it', {}, { protocol: 'tcp', port: 91 }, false],
    ['another protocol', {}, { protocol: 'udp', port: 85 }, false],
    ['the protocol by its number', {}, { protocol: '6', port: 85 }, true],
    [
      'any protocol',
      { protocol: null, port_range_min: null, port_range_max: null },
      { protocol: 'gre' },
      true,
    ],
    ['a sender in the block', { remote_ip_prefix: '203.0.113.0/24' }, { from: '203.0.113.9' }, true],
    ['a sender beside it', { remote_ip_prefix: '203.0.113.0/24' }, { from: '203.0.114.9' }, false],
    ['a block within the block', { remote_ip_prefix: '203.0.113.0/24' }, { from: '203.0.113.128/25' }, true],
    [
      'a block larger than the block',
      { remote_ip_prefix: '203.0.113.0/24' },
      { from: '203.0.112.0/22' },
      false,
    ],
    ['a sender of the other version', {}, { from: '2001:db8::1' }, false],
    ['a member of the group', { remote_group_id: id(9) }, { from: '10.0.0.7' }, true],
    ['somebody who is not in it', { remote_group_id: id(9) }, { from: '10.0.0.8' }, false],
    ['a group without members here', { remote_group_id: id(10) }, { from: '10.0.0.7' }, false],
    [
      'the ICMP type',
      { protocol: 'icmp', port_range_min: 8, port_range_max: 0 },
      { protocol: 'icmp', port: 8 },
      true,
    ],
    [
      'another ICMP type',
      { protocol: 'icmp', port_range_min: 8, port_range_max: 0 },
      { protocol: 'icmp', port: 0 },
      false,
    ],
    ['what goes out', { direction: 'egress' }, {}, false],
    ['what is of IPv6', { ethertype: 'IPv6' }, {}, false],
  ])('%s', (_name, more, traffic, admitted) => {
    const one = tcp(more);
    const found = ask([one], traffic);
    expect([found.state, found.rule?.id]).toEqual(admitted ? ['ok', one.id] : ['fail', undefined]);
  });

  it('ICMP of an IPv6 rule is ICMPv6', () => {
    const icmp = rule('ingress', { ethertype: 'IPv6', protocol: 'ipv6-icmp' });
    expect(ask([icmp], { protocol: 'icmp' }, 6).rule).toBe(icmp);
    expect(ask([icmp], { protocol: 'icmpv6' }, 6).rule).toBe(icmp);
  });

  it('everything passes a port without port security, nothing one without rules', () => {
    expect(ask([], {}, 4, false)).toMatchObject({ state: 'ok', rule: null });
    expect(ask([], {})).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('0 ingress rule(s)'),
    });
  });
});
