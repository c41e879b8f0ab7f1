import { cidrContains } from '../../../../src/net/cidr.js';
import { normaliseIp } from '../../../../src/net/ip.js';
import type { SecurityRule } from '../../../../src/protocol/objects.js';
import type { IpFamily } from '../iptables/model.js';
import { protocolNumber } from '../protocols.js';
import { ruleFamily } from '../rules.js';

/** A tracked connection, as its first packet went. */
export interface Flow {
  readonly family: IpFamily;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number | null;
  readonly destinationPort: number | null;
  readonly icmp: { readonly type: number; readonly code: number; readonly id: number } | null;
}

/** Output of `conntrack -L -o extended`. */
export function parseFlows(text: string): Flow[] {
  const flows: Flow[] = [];
  for (const line of text.split('\n')) {
    const head = /^(ipv4|ipv6)\s+\d+\s+\S+\s+(\d+)\s/.exec(line);
    if (!head) continue;
    // the first occurrence of each word belongs to the original direction
    const word = (name: string) => new RegExp(`\\b${name}=(\\S+)`).exec(line)?.[1];
    const number = (name: string) => (word(name) === undefined ? null : Number(word(name)));
    const [source, destination] = [word('src'), word('dst')];
    if (source === undefined || destination === undefined) continue;
    const type = number('type');
    flows.push({
      family: head[1] === 'ipv4' ? 4 : 6,
      protocol: Number(head[2]),
      source: normaliseIp(source),
      destination: normaliseIp(destination),
      sourcePort: number('sport'),
      destinationPort: number('dport'),
      icmp: type === null ? null : { type, code: number('code') ?? 0, id: number('id') ?? 0 },
    });
  }
  return flows;
}

/** Whether rules of a port allow the flow that begins in the given direction. `isMember` asks for a remote group's members. */
export function allows(
  rules: readonly SecurityRule[],
  direction: 'ingress' | 'egress',
  flow: Flow,
  isMember: (groupId: string, address: string) => boolean,
): boolean {
  if (isDhcp(flow)) return true;
  const remote = direction === 'ingress' ? flow.source : flow.destination;
  return rules.some((rule) => {
    if (rule.direction !== direction || ruleFamily(rule) !== flow.family) return false;
    if (rule.remote_ip_prefix !== null && !cidrContains(rule.remote_ip_prefix, remote)) return false;
    if (rule.remote_group_id !== null && !isMember(rule.remote_group_id, remote)) return false;
    return matchesTransport(rule, flow);
  });
}

/** The arguments of `conntrack -D` that delete exactly this connection. */
export function deletionArguments(flow: Flow, zone: number): string[] {
  const args = ['-D', '-f', flow.family === 4 ? 'ipv4' : 'ipv6', '-w', `${zone}`];
  args.push(
    '-p',
    PROTOCOL_NAMES[flow.protocol] ?? `${flow.protocol}`,
    '-s',
    flow.source,
    '-d',
    flow.destination,
  );
  if (flow.icmp) {
    const prefix = flow.protocol === 58 ? '--icmpv6' : '--icmp';
    args.push(
      `${prefix}-type`,
      `${flow.icmp.type}`,
      `${prefix}-code`,
      `${flow.icmp.code}`,
      `${prefix}-id`,
      `${flow.icmp.id}`,
    );
  } else if (flow.sourcePort !== null && flow.destinationPort !== null && PROTOCOL_NAMES[flow.protocol]) {
    args.push('--sport', `${flow.sourcePort}`, '--dport', `${flow.destinationPort}`);
  }
  return args;
}

/** Protocols that the conntrack command has port or type options for. */
const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  58: 'icmpv6',
  132: 'sctp',
  136: 'udplite',
};

function matchesTransport(rule: SecurityRule, flow: Flow): boolean {
  const protocol = protocolNumber(rule.protocol, rule.ethertype);
  if (protocol === null) return true;
  if (protocol !== flow.protocol) return false;
  const { port_range_min: min, port_range_max: max } = rule;
  if (flow.icmp) return (min === null || min === flow.icmp.type) && (max === null || max === flow.icmp.code);
  if (flow.destinationPort === null) return true;
  return (min ?? 0) <= flow.destinationPort && flow.destinationPort <= (max ?? 65_535);
}

function isDhcp(flow: Flow): boolean {
  const ports = [flow.sourcePort, flow.destinationPort];
  return (
    flow.protocol === 17 &&
    ports.some((p) => p === 67 || p === 547) &&
    ports.some((p) => p === 68 || p === 546)
  );
}
