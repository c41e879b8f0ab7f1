import { ipVersion } from '../../../src/net/ip.js';
import { linkLocalAddress } from '../../../src/net/mac.js';
import { memberSetName } from '../../../src/net/names.js';
import type { DhcpObject, PortObject, SecurityGroupObject } from '../../../src/protocol/objects.js';
import type { IpFamily } from './iptables/model.js';
import { renderRule, ruleFamily } from './rules.js';

/** Where packets go that a guest may send: to the chains of whoever receives them. */
export const RECEIVERS = 'maru-in';

/** Chain of what a port's guest sends. */
export function outChain(portId: string): string {
  return `maru-o${portId.slice(0, 11)}`;
}

/** Chain of what a port's guest receives. */
export function inChain(portId: string): string {
  return `maru-i${portId.slice(0, 11)}`;
}

/** A port's two chains in both families, and the sets of group members that they refer to. */
export interface PortChains {
  readonly out: Readonly<Record<IpFamily, readonly string[]>>;
  readonly in: Readonly<Record<IpFamily, readonly string[]>>;
  readonly memberSets: readonly {
    readonly name: string;
    readonly family: IpFamily;
    readonly groupId: string;
  }[];
}

/** ICMPv6 that IPv6 does not work without; port security has already dropped what a guest must not send. */
const ICMP6_OUT = [131, 132, 133, 135, 136, 143];
const ICMP6_IN = [130, 134, 135, 136];

/**
 * Renders a port's chains. Both begin with what every guest needs (DHCP, neighbour discovery), then come the rules of its
 * groups, and what no rule allows is dropped. Established connections never get here.
 */
export function portChains(
  port: PortObject,
  groups: readonly SecurityGroupObject[],
  dhcp: Pick<DhcpObject, 'addresses' | 'mac'> | undefined,
): PortChains {
  const rules = groups.flatMap((group) => group.rules);
  const lines = (direction: 'ingress' | 'egress', family: IpFamily) => {
    const target = direction === 'ingress' ? 'ACCEPT' : RECEIVERS;
    const rendered = rules
      .filter((rule) => rule.direction === direction)
      .map((rule) => renderRule(rule, family, port.network_id, target))
      .filter((text) => text !== null);
    return [
      '-m conntrack --ctstate INVALID -j DROP',
      ...(direction === 'ingress' ? basicsIn(family, dhcp) : basicsOut(family)),
      ...new Set(rendered),
      '-j DROP',
    ];
  };
  const memberSets = new Map<string, PortChains['memberSets'][number]>();
  for (const rule of rules) {
    if (rule.remote_group_id === null) continue;
    const family = ruleFamily(rule);
    const name = memberSetName(family, rule.remote_group_id, port.network_id);
    memberSets.set(name, { name, family, groupId: rule.remote_group_id });
  }
  return {
    out: { 4: lines('egress', 4), 6: lines('egress', 6) },
    in: { 4: lines('ingress', 4), 6: lines('ingress', 6) },
    memberSets: [...memberSets.values()],
  };
}

function basicsOut(family: IpFamily): string[] {
  if (family === 4) return [`-p udp -m udp --sport 68 --dport 67 -j ${RECEIVERS}`];
  return [
    ...ICMP6_OUT.map((type) => `-p ipv6-icmp -m icmp6 --icmpv6-type ${type} -j ${RECEIVERS}`),
    `-p udp -m udp --sport 546 --dport 547 -j ${RECEIVERS}`,
  ];
}

/** DHCP answers come only from the network's own server. */
function basicsIn(family: IpFamily, dhcp: Pick<DhcpObject, 'addresses' | 'mac'> | undefined): string[] {
  if (family === 4) {
    return (dhcp?.addresses ?? [])
      .map((cidr) => cidr.split('/')[0]!)
      .filter((address) => ipVersion(address) === 4)
      .map((address) => `-s ${address}/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT`);
  }
  return [
    ...ICMP6_IN.map((type) => `-p ipv6-icmp -m icmp6 --icmpv6-type ${type} -j ACCEPT`),
    ...(dhcp ? [`-s ${linkLocalAddress(dhcp.mac)}/128 -p udp -m udp --sport 547 --dport 546 -j ACCEPT`] : []),
  ];
}
