/** IP protocols by the names that Neutron and /etc/protocols use. */
export const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  ipip: 4,
  ipencap: 4,
  tcp: 6,
  egp: 8,
  udp: 17,
  dccp: 33,
  ipv6: 41,
  'ipv6-encap': 41,
  'ipv6-route': 43,
  'ipv6-frag': 44,
  rsvp: 46,
  gre: 47,
  esp: 50,
  'ipsec-esp': 50,
  ah: 51,
  'ipsec-ah': 51,
  icmpv6: 58,
  'ipv6-icmp': 58,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  ospf: 89,
  ospfigp: 89,
  pim: 103,
  ipcomp: 108,
  vrrp: 112,
  pgm: 113,
  l2tp: 115,
  sctp: 132,
  udplite: 136,
};

/** The number of a protocol given by name or decimal number; null for any; throws for a name that is not known. */
export function protocolNumber(protocol: string | null, ethertype: 'IPv4' | 'IPv6'): number | null {
  if (protocol === null || protocol === 'any') return null;
  const number = /^\d+$/.test(protocol) ? Number(protocol) : PROTOCOLS[protocol];
  if (number === undefined || number > 255)
    throw new Error(`protocol '${protocol}' is not known on this host`);
  // protocol 0 is iptables' "any"; ICMP means the ICMP of the rule's IP version
  if (number === 0) return null;
  return number === 1 && ethertype === 'IPv6' ? 58 : number;
}
