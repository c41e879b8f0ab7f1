import { parseCidr, tryParseCidr } from '../../net/cidr.js';
import { badRequest } from '../errors.js';

/** What a rule must satisfy, in Neutron's words. Everything here is pure. */

export interface RuleValues {
  readonly direction: 'ingress' | 'egress';
  readonly ethertype: 'IPv4' | 'IPv6';
  readonly protocol: string | null;
  readonly port_range_min: number | null;
  readonly port_range_max: number | null;
  readonly remote_ip_prefix: string | null;
  readonly remote_group_id: string | null;
}

/** IP protocol numbers by the names that rules may use. */
export const PROTOCOLS: Readonly<Record<string, number>> = {
  ah: 51,
  dccp: 33,
  egp: 8,
  esp: 50,
  gre: 47,
  hopopt: 0,
  icmp: 1,
  igmp: 2,
  ip: 0,
  ipip: 4,
  'ipv6-encap': 41,
  'ipv6-frag': 44,
  'ipv6-icmp': 58,
  icmpv6: 58,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  'ipv6-route': 43,
  ospf: 89,
  pgm: 113,
  rsvp: 46,
  sctp: 132,
  tcp: 6,
  udp: 17,
  udplite: 136,
  vrrp: 112,
};

const ICMP = 1;
const ICMP6 = 58;
/** Protocols whose ports are ports: dccp, sctp, tcp, udp, udplite. */
const WITH_PORTS = new Set([33, 132, 6, 17, 136]);
const IPV6_ONLY = new Set([
  'ipv6-encap',
  'ipv6-frag',
  'ipv6-icmp',
  'icmpv6',
  'ipv6-nonxt',
  'ipv6-opts',
  'ipv6-route',
]);

/** A protocol as it is stored: lower-case name or decimal number; null for any. Throws when there is no such protocol. */
export function parseProtocol(value: unknown): string | null {
  if (value === null || value === undefined || value === '') return null;
  const text = String(value).toLowerCase();
  if (text === 'any') return null;
  if (/^\d+$/.test(text) && Number(text) <= 255) return String(Number(text));
  if (Object.hasOwn(PROTOCOLS, text)) return text;
  const names = Object.keys(PROTOCOLS).map((name) => `'${name}'`);
  throw badRequest(
    `Security group rule protocol ${text} not supported. Only protocol values [None, ${names.join(', ')}] and integer representations [0 to 255] are supported.`,
    'SecurityGroupRuleInvalidProtocol',
  );
}

/** `IPv4` or `IPv6` from any spelling. */
export function parseEthertype(value: unknown): 'IPv4' | 'IPv6' {
  const text = String(value).toLowerCase();
  if (text === 'ipv4') return 'IPv4';
  if (text === 'ipv6') return 'IPv6';
  throw badRequest(
    `Security group rule for ethertype '${value}' not supported. Allowed values are ['IPv4', 'IPv6'].`,
    'SecurityGroupRuleInvalidEtherType',
  );
}

/** A port, ICMP type or code; null for any. */
export function parsePort(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  const number = typeof value === 'number' ? value : Number(String(value).trim() || Number.NaN);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) {
    throw badRequest(`Invalid value for port ${value}`, 'SecurityGroupInvalidPortValue');
  }
  return number;
}

/** Throws when the parts of a rule do not go together. */
export function checkRule(rule: RuleValues): void {
  checkRemote(rule);
  const number = protocolNumber(rule.protocol, rule.ethertype);
  const v6Only = rule.protocol !== null && (IPV6_ONLY.has(rule.protocol) || rule.protocol === String(ICMP6));
  if (v6Only && rule.ethertype === 'IPv4') {
    throw badRequest(
      `Invalid ethertype ${rule.ethertype} for protocol ${rule.protocol}.`,
      'SecurityGroupEthertypeConflictWithProtocol',
    );
  }
  const { port_range_min: min, port_range_max: max } = rule;
  if (min === null && max === null) return;
  if (number === null) {
    throw badRequest(
      'Must also specify protocol if port range is given.',
      'SecurityGroupProtocolRequiredWithPorts',
    );
  }
  if (WITH_PORTS.has(number)) {
    if (min === 0 || max === 0) throw badRequest('Invalid value for port 0', 'SecurityGroupInvalidPortValue');
    if (min === null || max === null || min > max) {
      throw badRequest(
        'For TCP/UDP protocols, port_range_min must be <= port_range_max',
        'SecurityGroupInvalidPortRange',
      );
    }
    return;
  }
  if (number === ICMP || number === ICMP6) {
    checkIcmp(min, max);
    return;
  }
  throw badRequest(
    `Invalid protocol ${rule.protocol} for port range, only supported for [33, 136, 6, 17, 132].`,
    'SecurityGroupInvalidProtocolForPort',
  );
}

/** Whether two rules allow the same, however their protocols are spelt. */
export function sameAllowance(a: RuleValues, b: RuleValues): boolean {
  return (
    a.direction === b.direction &&
    a.ethertype === b.ethertype &&
    protocolNumber(a.protocol, a.ethertype) === protocolNumber(b.protocol, b.ethertype) &&
    a.port_range_min === b.port_range_min &&
    a.port_range_max === b.port_range_max &&
    a.remote_ip_prefix === b.remote_ip_prefix &&
    a.remote_group_id === b.remote_group_id
  );
}

/** The number of a stored protocol; `icmp` of IPv6 rules means ICMPv6. */
function protocolNumber(protocol: string | null, ethertype: string): number | null {
  if (protocol === null) return null;
  const number = PROTOCOLS[protocol] ?? Number(protocol);
  return number === ICMP && ethertype === 'IPv6' ? ICMP6 : number;
}

function checkRemote(rule: RuleValues): void {
  if (rule.remote_ip_prefix !== null && rule.remote_group_id !== null) {
    throw badRequest(
      'Only remote_ip_prefix or remote_group_id may be provided.',
      'SecurityGroupRemoteGroupAndRemoteIpPrefix',
    );
  }
  if (rule.remote_ip_prefix === null) return;
  if (!tryParseCidr(rule.remote_ip_prefix)) {
    throw badRequest(`Invalid CIDR ${rule.remote_ip_prefix} given as IP prefix.`, 'InvalidCIDR');
  }
  const version = parseCidr(rule.remote_ip_prefix).version;
  if (rule.ethertype !== `IPv${version}`) {
    throw badRequest(
      `Conflicting value ethertype ${rule.ethertype} for CIDR ${rule.remote_ip_prefix}`,
      'SecurityGroupRuleParameterConflict',
    );
  }
}

function checkIcmp(type: number | null, code: number | null): void {
  for (const [field, attribute, value] of [
    ['type', 'port-range-min', type],
    ['code', 'port-range-max', code],
  ] as const) {
    if (value !== null && value > 255) {
      throw badRequest(
        `Invalid value for ICMP ${field} (${attribute}) ${value}. It must be 0 to 255.`,
        'SecurityGroupInvalidIcmpValue',
      );
    }
  }
  if (type === null) {
    throw badRequest(
      `ICMP code (port-range-max) ${code} is provided but ICMP type (port-range-min) is missing.`,
      'SecurityGroupMissingIcmpType',
    );
  }
}
