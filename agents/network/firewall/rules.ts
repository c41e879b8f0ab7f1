import { memberSetName } from '../../../src/net/names.js';
import type { SecurityRule } from '../../../src/protocol/objects.js';
import type { IpFamily } from './iptables/model.js';
import { protocolNumber } from './protocols.js';

/**
 * The iptables text of a security group rule for ports of one network (without `-A chain`), or null when it is about the
 * other IP version. This is the only place where rules become text.
 */
export function renderRule(
  rule: SecurityRule,
  family: IpFamily,
  networkId: string,
  target: string,
): string | null {
  if (ruleFamily(rule) !== family) return null;
  const ingress = rule.direction === 'ingress';
  const parts: string[] = [];
  if (rule.remote_ip_prefix !== null && !isEverything(rule.remote_ip_prefix)) {
    parts.push(`${ingress ? '-s' : '-d'} ${rule.remote_ip_prefix}`);
  }
  const protocol = protocolNumber(rule.protocol, rule.ethertype);
  // no message has this type, and iptables takes the number for "any"
  if (protocol === 1 && rule.port_range_min === 255) return null;
  if (protocol !== null) parts.push(`-p ${NAMES[protocol] ?? protocol}`, ...transportMatch(rule, protocol));
  if (rule.remote_group_id !== null) {
    const set = memberSetName(family, rule.remote_group_id, networkId);
    parts.push(`-m set --match-set ${set} ${ingress ? 'src' : 'dst'}`);
  }
  parts.push(`-j ${target}`);
  return parts.join(' ');
}

/** 4 or 6, from the rule's ethertype. */
export function ruleFamily(rule: SecurityRule): IpFamily {
  return rule.ethertype === 'IPv4' ? 4 : 6;
}

/** The names that iptables-save prints on every system; other protocols are written as numbers. */
const NAMES: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'ipv6-icmp',
  132: 'sctp',
};

/** Protocols with ports, and the match that knows them. */
const PORT_MATCHES: Readonly<Record<number, string>> = {
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  132: 'sctp',
  136: 'multiport',
};

function transportMatch(rule: SecurityRule, protocol: number): string[] {
  const { port_range_min: min, port_range_max: max } = rule;
  if (protocol === 1 || protocol === 58) {
    if (min === null) return [];
    const type = max === null ? `${min}` : `${min}/${max}`;
    return [protocol === 1 ? `-m icmp --icmp-type ${type}` : `-m icmp6 --icmpv6-type ${type}`];
  }
  const match = PORT_MATCHES[protocol];
  if (match === undefined || (min === null && max === null)) return [];
  const [first, last] = [min ?? 0, max ?? 65_535];
  if (first <= 1 && last === 65_535) return [];
  const range = first === last ? `${first}` : `${first}:${last}`;
  return [match === 'multiport' ? `-m multiport --dports ${range}` : `-m ${match} --dport ${range}`];
}

function isEverything(prefix: string): boolean {
  return prefix === '0.0.0.0/0' || prefix === '::/0';
}
