import { normaliseCidr } from '../net/cidr.js';
import type { SecurityGroupObject, SecurityRule } from '../protocol/objects.js';
import type { NetworkTables } from '../store/tables/network.js';

/** A group with its rules in normal form: hosts never see two spellings of one thing. */
export function securityGroupObject(
  group: NetworkTables['security_group'],
  rules: readonly NetworkTables['security_group_rule'][],
): SecurityGroupObject {
  return {
    id: group.id,
    stateful: group.stateful === 1,
    rules: rules.map(securityRule).sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
}

function securityRule(rule: NetworkTables['security_group_rule']): SecurityRule {
  return {
    id: rule.id,
    direction: rule.direction,
    ethertype: rule.ethertype,
    protocol: normaliseProtocol(rule.protocol, rule.ethertype),
    port_range_min: rule.port_range_min,
    port_range_max: rule.port_range_max,
    remote_ip_prefix: rule.remote_ip_prefix === null ? null : normaliseCidr(rule.remote_ip_prefix),
    remote_group_id: rule.remote_group_id,
  };
}

/** `icmp` of an IPv6 rule means ICMPv6, which has three names; `ip` means any protocol. */
function normaliseProtocol(protocol: string | null, ethertype: string): string | null {
  if (protocol === 'ip' || protocol === '0' || protocol === 'hopopt') return protocol === 'ip' ? null : '0';
  const icmp = ['icmp', '1', 'icmpv6', 'ipv6-icmp', '58'];
  if (ethertype === 'IPv6' && protocol !== null && icmp.includes(protocol)) return 'ipv6-icmp';
  const names: Readonly<Record<string, string>> = { '1': 'icmp', '6': 'tcp', '17': 'udp' };
  return protocol === null ? null : (names[protocol] ?? protocol);
}
