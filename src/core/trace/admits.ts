import { cidrContains, cidrsOverlap } from '../../net/cidr.js';
import { ipVersion } from '../../net/ip.js';
import type {
  GroupMembersObject,
  PortObject,
  SecurityGroupObject,
  SecurityRule,
} from '../../protocol/objects.js';
import type { TraceState } from '../../protocol/trace.js';
import type { Traffic } from './model.js';

/** Which rule of a port's groups lets traffic in. */
export interface Admission {
  readonly state: TraceState;
  readonly detail: string;
  /** Null: none, or port security is off. */
  readonly rule: SecurityRule | null;
}

/**
 * Finds the ingress rule that admits the traffic to an address of the port. What the traffic leaves open is taken for whatever a rule
 * says: without protocol, port and sender any rule will do. `membersOf`: addresses of a group's members on the port's network.
 */
export function admission(
  port: PortObject,
  groups: readonly SecurityGroupObject[],
  membersOf: (groupId: string) => GroupMembersObject | undefined,
  traffic: Traffic,
  version: 4 | 6,
): Admission {
  if (!port.port_security)
    return { state: 'ok', detail: 'port security is off: everything is admitted', rule: null };
  const rules = groups
    .flatMap((group) => group.rules)
    .filter((rule) => rule.direction === 'ingress' && rule.ethertype === (version === 4 ? 'IPv4' : 'IPv6'));
  const rule = rules
    .filter((one) => protocolFits(one, traffic) && portFits(one, traffic))
    .find((one) => senderFits(one, membersOf, traffic.from));
  if (rule) return { state: 'ok', detail: `rule ${rule.id}: ${ruleWords(rule)}`, rule };
  const wanted = trafficWords(traffic);
  const inGroups = `${groups.length} security group(s) with ${rules.length} ingress rule(s) for IPv${version}`;
  return { state: 'fail', detail: `no rule admits ${wanted}: ${inGroups}`, rule: null };
}

/** A rule in the words of an operator. */
export function ruleWords(rule: SecurityRule): string {
  const { port_range_min: min, port_range_max: max, remote_ip_prefix, remote_group_id } = rule;
  const range =
    min === null && max === null ? '' : min === max || max === null ? ` ${min}` : ` ${min}-${max}`;
  const from = remote_group_id ? `members of ${remote_group_id}` : (remote_ip_prefix ?? 'anywhere');
  return `${rule.protocol ?? 'any protocol'}${range} from ${from}`;
}

/** Traffic in the words of an operator. */
export function trafficWords({ protocol, port, from }: Traffic): string {
  const what = [protocol ?? 'anything', ...(port === null ? [] : [`port ${port}`])].join(' ');
  return from === null ? what : `${what} from ${from}`;
}

function protocolFits(rule: SecurityRule, { protocol }: Traffic): boolean {
  if (protocol === null || rule.protocol === null) return true;
  return numberOf(rule.protocol, rule.ethertype) === numberOf(protocol, rule.ethertype);
}

const NUMBERS: Readonly<Record<string, string>> = {
  icmp: '1',
  tcp: '6',
  udp: '17',
  'ipv6-icmp': '58',
  sctp: '132',
};

function numberOf(protocol: string, ethertype: SecurityRule['ethertype'] = 'IPv4'): string {
  const name =
    protocol === 'icmpv6' || (protocol === 'icmp' && ethertype === 'IPv6') ? 'ipv6-icmp' : protocol;
  return NUMBERS[name] ?? name;
}

/** Of ICMP the port is the type. */
function portFits(rule: SecurityRule, { port }: Traffic): boolean {
  const { port_range_min: min, port_range_max: max } = rule;
  if (port === null || (min === null && max === null)) return true;
  const icmp = ['1', '58'].includes(numberOf(rule.protocol ?? ''));
  if (icmp) return port === min;
  return port >= (min ?? 0) && port <= (max ?? 65_535);
}

function senderFits(
  rule: SecurityRule,
  membersOf: (groupId: string) => GroupMembersObject | undefined,
  from: string | null,
): boolean {
  if (from === null) return true;
  const version = ipVersion(from.split('/')[0]!);
  if ((version === 6) !== (rule.ethertype === 'IPv6')) return false;
  if (rule.remote_group_id !== null) {
    const members = membersOf(rule.remote_group_id);
    const addresses = version === 6 ? members?.ipv6 : members?.ipv4;
    return addresses?.some((member) => contains(member, from)) ?? false;
  }
  return rule.remote_ip_prefix === null || contains(rule.remote_ip_prefix, from);
}

/** Whether everything in the inner block is in the outer one. */
function contains(outer: string, inner: string): boolean {
  if (!inner.includes('/')) return cidrContains(outer, inner);
  const [size, of] = [inner, outer].map((cidr) => Number(cidr.split('/')[1] ?? 128));
  return cidrsOverlap(outer, inner) && size! >= of!;
}
