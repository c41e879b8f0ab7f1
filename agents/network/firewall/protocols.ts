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

/** Names that iptables-save prints, from /etc/protocols; only read, never written. Its ipip is not Neutron's. */
export const PRINTED_PROTOCOLS: Readonly<Record<string, number>> = {
  ...PROTOCOLS,
  ipip: 94,
  hopopt: 0,
  ggp: 3,
  st: 5,
  igp: 9,
  pup: 12,
  hmp: 20,
  'xns-idp': 22,
  rdp: 27,
  'iso-tp4': 29,
  xtp: 36,
  ddp: 37,
  'idpr-cmtp': 38,
  idrp: 45,
  skip: 57,
  rspf: 73,
  vmtp: 81,
  eigrp: 88,
  'ax.25': 93,
  etherip: 97,
  encap: 98,
  isis: 124,
  fc: 133,
  'mobility-header': 135,
  'mpls-in-ip': 137,
  manet: 138,
  hip: 139,
  shim6: 140,
  wesp: 141,
  rohc: 142,
  ethernet: 143,
  mptcp: 262,
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
