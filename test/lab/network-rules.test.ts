import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diffTables } from '../../agents/network/firewall/iptables/diff.js';
import { type DesiredTables, tableKey } from '../../agents/network/firewall/iptables/model.js';
import { observeTables } from '../../agents/network/firewall/iptables/observe.js';
import { renderRestore } from '../../agents/network/firewall/iptables/restore.js';
import { PROTOCOLS } from '../../agents/network/firewall/protocols.js';
import { renderRule } from '../../agents/network/firewall/rules.js';
import type { SecurityRule } from '../../src/protocol/objects.js';
import { NetworkLab } from './network-lab.js';
import { id, rule } from './network-spec.js';

/** Every kind of rule there can be. */
function everyRule(ethertype: 'IPv4' | 'IPv6'): SecurityRule[] {
  const numbers = Array.from({ length: 256 }, (_, n) => `${n}`);
  const protocols = [...numbers, ...Object.keys(PROTOCOLS)];
  const prefixes =
    ethertype === 'IPv4'
      ? ['0.0.0.0/0', '10.0.0.0/8', '10.0.0.1/32']
      : ['::/0', '2001:db8::/32', '2001:db8::1/128'];
  const ports = [
    [22, 22],
    [1, 65_535],
    [8000, 8100],
    [0, 0],
  ] as const;
  return [
    rule('ingress', { ethertype }),
    ...protocols.map((protocol) => rule('ingress', { ethertype, protocol })),
    ...prefixes.map((remote_ip_prefix) => rule('ingress', { ethertype, remote_ip_prefix, protocol: 'tcp' })),
    ...['tcp', 'udp', 'sctp', 'dccp', 'udplite', '6', '136'].flatMap((protocol) =>
      ports.map(([min, max]) =>
        rule('egress', { ethertype, protocol, port_range_min: min, port_range_max: max }),
      ),
    ),
    ...[0, 3, 8, 13, 128, 255].flatMap((type) =>
      [null, 0, 4].map((code) =>
        rule('ingress', { ethertype, protocol: 'icmp', port_range_min: type, port_range_max: code }),
      ),
    ),
  ];
}

describe('rules and what iptables-save makes of them', () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.up();
  });
  afterAll(() => lab?.down());

  it.each(['IPv4', 'IPv6'] as const)('finds every %s rule again', async (ethertype) => {
    const family = ethertype === 'IPv4' ? 4 : 6;
    const rendered = everyRule(ethertype).map((each) => renderRule(each, family, id(1), 'ACCEPT'));
    const rules = rendered.filter((text) => text !== null);
    const chains = new Map([['maru-test', { owner: 'network/*' as const, rules }]]);
    const desired: DesiredTables = new Map([[tableKey(family, 'filter'), { chains, jumps: new Map() }]]);
    const [diff] = diffTables(desired, new Map());
    const command = family === 4 ? 'iptables-restore' : 'ip6tables-restore';
    await lab.host.run(command, ['--noflush'], { input: renderRestore(diff!).text });
    const observed = await observeTables(lab.context, [family]);
    const found = observed.get(tableKey(family, 'filter'))?.get('maru-test');
    expect(found).toHaveLength(rules.length);
    if (family === 4) expect(found?.filter((text) => text.includes('any'))).toEqual([]);
    expect(diffTables(desired, observed)).toEqual([]);
  });
});
