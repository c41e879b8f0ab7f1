import { createHash } from 'node:crypto';

/**
 * The mark bit that a stateful rule sets on every bridged packet it has judged. A frame to or from a guest without it is
 * dropped after iptables, so that flushed rules or a switched-off bridge-nf-call-iptables close ports and do not open them.
 */
export const JUDGED = 0x10000000;

/** A set (or map) of a table: its declaration, without elements. */
export interface NftSet {
  readonly name: string;
  readonly kind: 'set' | 'map';
  readonly declaration: string;
}

/** A table of ours: it is replaced as a whole when its version differs, and only its elements change otherwise. */
export interface NftTable {
  readonly family: 'bridge' | 'inet';
  readonly name: string;
  readonly sets: readonly NftSet[];
  /** Chains with their rules, one per line. */
  readonly chains: string;
}

/** Identifies what a table's text says: kept in the kernel as the name of an empty chain, since nft keeps no other notes. */
export function tableVersion(table: NftTable): string {
  const text = JSON.stringify([table.sets, table.chains]);
  return `version_${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
}

/** How many rules the table's chains have, to notice rules that were taken out or put in by hand. */
export function ruleCount(table: NftTable): number {
  return table.chains.split('\n').filter((line) => /^ {4}\S/.test(line) && !/^ {4}type filter /.test(line))
    .length;
}

/**
 * Text that replaces the table in one transaction: nothing passes unfiltered in between. Elements are `"tap…" . MAC . …`,
 * for maps `"brq…" : 11`.
 */
export function renderTable(table: NftTable, elements: (set: string) => readonly string[]): string {
  const sets = table.sets.map(({ name, kind, declaration }) => {
    const lines = elements(name);
    const filled = lines.length ? `\n    elements = { ${lines.join(',\n      ')} }` : '';
    return `  ${kind} ${name} {\n    ${declaration.replaceAll('\n', '\n    ')}${filled}\n  }`;
  });
  const body = [...sets, `  chain ${tableVersion(table)} {\n  }`, table.chains].join('\n');
  const head = `table ${table.family} ${table.name}`;
  return `add ${head}\ndelete ${head}\n${head} {\n${body}\n}\n`;
}

/**
 * Port security. Sets are shared by all ports and keyed by device, so that one port is a few elements and never a new
 * chain. Unknown tap* devices are closed in both directions: a tap is closed from its first frame.
 */
export const PORT_SECURITY: NftTable = {
  family: 'bridge',
  name: 'maru',
  sets: [
    { name: 'trusted', kind: 'set', declaration: 'type ifname' },
    { name: 'ready', kind: 'set', declaration: 'type ifname' },
    {
      name: 'arp4',
      kind: 'set',
      declaration: 'typeof iifname . ether saddr . arp saddr ether . arp saddr ip\nflags interval',
    },
    { name: 'src4', kind: 'set', declaration: 'typeof iifname . ether saddr . ip saddr\nflags interval' },
    { name: 'src6', kind: 'set', declaration: 'typeof iifname . ether saddr . ip6 saddr\nflags interval' },
    { name: 'nd6', kind: 'set', declaration: 'typeof iifname . ether saddr . @th,64,128\nflags interval' },
    { name: 'lla', kind: 'set', declaration: 'typeof iifname . ether saddr . @th,208,48' },
    { name: 'mac', kind: 'set', declaration: 'typeof iifname . ether saddr . ether daddr' },
    { name: 'dhcp_mac', kind: 'set', declaration: 'type ether_addr' },
    { name: 'dhcp_arp', kind: 'set', declaration: 'typeof oifname . arp daddr ip' },
  ],
  chains: `  chain arp_ok {
    arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } accept
    counter drop comment "malformed ARP"
  }
  chain ip4_ok {
    ip hdrlength > 5 ip protocol != igmp counter drop comment "IP options"
    ip frag-off & 0x1fff != 0 accept comment "later fragments have no transport header"
    udp dport 68 counter drop comment "guests are no DHCP servers"
    ip protocol igmp @th,0,8 0x11 counter drop comment "IGMP queries"
    icmp type redirect counter drop
    accept
  }
  chain frag6 {
    exthdr hbh exists counter drop
    frag frag-off != 0 frag nexthdr { 6, 17, 50, 58, 132 } accept
    meta l4proto 58 icmpv6 type { echo-request, echo-reply } accept
    meta l4proto 17 udp dport != 546 accept
    meta l4proto 6 tcp sport != 0 accept
    meta l4proto 132 sctp sport != 0 accept
    meta l4proto 50 @th,0,32 != 0 accept
    counter drop comment "fragmented ND, or a first fragment without its header"
  }
  chain ip6_ok {
    exthdr rt exists counter drop
    exthdr frag exists goto frag6
    exthdr hbh exists meta l4proto != ipv6-icmp counter drop
    exthdr hbh exists icmpv6 type != { mld-listener-report, mld-listener-done, mld2-listener-report } counter drop
    icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect, mld-listener-query, 138-142, 144-153 } counter drop
    udp dport 546 counter drop comment "guests are no DHCPv6 servers"
    meta l4proto { 0, 43, 44, 60 } counter drop
    meta l4proto 1-255 accept
    counter drop comment "truncated header chain"
  }
  chain from_port {
    type filter hook prerouting priority -300; policy accept;
    meta mark set meta mark & ${hex(0xffffffff - JUDGED)}
    iifname @trusted accept
    iifname != "tap*" accept
    ether type != { arp, ip, ip6 } counter drop
    ether daddr & ff:ff:ff:ff:ff:00 == 01:80:c2:00:00:00 counter drop
    ether type arp iifname . ether saddr . arp saddr ether . arp saddr ip @arp4 goto arp_ok
    ether type arp arp saddr ip 0.0.0.0 iifname . ether saddr . arp saddr ether . arp daddr ip @arp4 goto arp_ok
    ether type arp counter drop
    ether type ip iifname . ether saddr . ip saddr @src4 goto ip4_ok
    ether type ip ip saddr 0.0.0.0 ip daddr 255.255.255.255 ip hdrlength 5 iifname . ether saddr . ether saddr @mac udp sport 68 udp dport 67 accept
    ether type ip counter drop
    ip6 nexthdr 58 icmpv6 type nd-neighbor-advert ip6 length 24 iifname . ether saddr . ip6 saddr @src6 iifname . ether saddr . @th,64,128 @nd6 accept
    ip6 nexthdr 58 icmpv6 type nd-neighbor-advert ip6 length 32 iifname . ether saddr . ip6 saddr @src6 iifname . ether saddr . @th,64,128 @nd6 @th,192,16 0x0201 iifname . ether saddr . @th,208,48 @lla accept
    ip6 nexthdr 58 icmpv6 type nd-neighbor-solicit ip6 length 24 iifname . ether saddr . ip6 saddr @src6 accept
    ip6 nexthdr 58 icmpv6 type nd-neighbor-solicit ip6 length 32 iifname . ether saddr . ip6 saddr @src6 @th,192,16 0x0101 iifname . ether saddr . @th,208,48 @lla accept
    ip6 nexthdr 58 icmpv6 type nd-neighbor-solicit ip6 length 24 ip6 saddr :: iifname . ether saddr . @th,64,128 @nd6 accept
    ip6 nexthdr 58 icmpv6 type nd-neighbor-solicit ip6 length 32 ip6 saddr :: iifname . ether saddr . @th,64,128 @nd6 @th,192,16 0x0e01 accept
    ip6 nexthdr 58 icmpv6 type nd-router-solicit ip6 length 8 ip6 saddr :: iifname . ether saddr . ether saddr @mac accept
    ip6 nexthdr 58 icmpv6 type nd-router-solicit ip6 length 8 iifname . ether saddr . ip6 saddr @src6 accept
    ip6 nexthdr 58 icmpv6 type nd-router-solicit ip6 length 16 iifname . ether saddr . ip6 saddr @src6 @th,64,16 0x0101 iifname . ether saddr . @th,80,48 @lla accept
    ip6 saddr :: ip6 daddr ff02::16 iifname . ether saddr . ether saddr @mac icmpv6 type mld2-listener-report accept
    iifname . ether saddr . ip6 saddr @src6 goto ip6_ok
    counter drop
  }
  chain to_host {
    type filter hook input priority -300; policy accept;
    iifname "tap*" counter drop comment "guests never reach the host itself"
  }
  chain to_port {
    type filter hook forward priority -300; policy accept;
    oifname "tap*" oifname != @ready counter drop
    oifname "tap*" ether type != { arp, ip, ip6 } counter drop
    iifname "vxlan-*" ether saddr @dhcp_mac counter drop comment "each host serves its own guests: DHCP stays off the tunnel"
    oifname "vxlan-*" ether saddr @dhcp_mac counter drop
    oifname "vxlan-*" ether daddr @dhcp_mac counter drop
    oifname "vxlan-*" ether type ip udp sport 68 udp dport 67 counter drop
    oifname "vxlan-*" ether type ip6 udp sport 546 udp dport 547 counter drop
    oifname "vxlan-*" ether type arp oifname . arp daddr ip @dhcp_arp counter drop
  }
  chain judged {
    type filter hook forward priority 10; policy accept;
    iifname "tap*" ether type { ip, ip6 } meta mark & ${hex(JUDGED)} == 0 counter drop comment "not seen by iptables"
    oifname "tap*" ether type { ip, ip6 } meta mark & ${hex(JUDGED)} == 0 counter drop comment "not seen by iptables"
  }
  chain from_host {
    type filter hook output priority -300; policy accept;
    oifname "tap*" counter drop comment "the host itself never reaches guests"
  }`,
};

/**
 * One connection tracking zone per network, set before defragmentation (priority -400): equal addresses of two tenants
 * never meet, not even as fragments. On provider bridges the host's own traffic stays in the default zone.
 */
export const ZONES: NftTable = {
  family: 'inet',
  name: 'maru',
  sets: [
    { name: 'zones', kind: 'map', declaration: 'typeof iifname : ct zone' },
    { name: 'provider_zones', kind: 'map', declaration: 'typeof iifname : ct zone' },
  ],
  chains: `  chain zone {
    type filter hook prerouting priority -450; policy accept;
    ct zone set iifname map @zones
    fib daddr type != local ct zone set iifname map @provider_zones
  }`,
};

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
