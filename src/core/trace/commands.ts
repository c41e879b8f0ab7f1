import {
  bridgeName,
  dhcpNamespace,
  innerName,
  memberSetName,
  namespaceName,
  routerNamespace,
  tapName,
  vxlanName,
} from '../../net/names.js';
import type { NamespaceRef, Segment, TraceCheck } from '../../protocol/trace.js';

/** Stands in commands for a provider bridge whose name only its host knows. */
const UNKNOWN_BRIDGE = 'BRIDGE';

/** Name of a segment's bridge; `provider` is that of a flat network, which only its host knows. */
export function segmentBridge(network: Segment, provider: string | null): string {
  return network.type === 'flat' ? (provider ?? UNKNOWN_BRIDGE) : bridgeName(network.id);
}

/** The command by which an operator sees on the host what a check is about. Correct as it is pasted, also while the host is away. */
export function showCommand(check: TraceCheck, provider: string | null = null): string {
  switch (check.kind) {
    case 'told':
    case 'reported':
      return 'systemctl status maru-agent';
    case 'bridge':
      return `ip -d link show dev ${segmentBridge(check.network, provider)}`;
    case 'uplink':
      return `bridge link show | grep 'master ${segmentBridge(check.network, provider)} '`;
    case 'namespace':
      return `ip netns exec ${namespaceName(check.netns)} ip -br addr show`;
    case 'plug':
      return `ip -d link show dev ${tapName(check.port_id)}`;
    case 'device':
      return `${inside(check.device)} ip -d link show dev ${innerName(check.device)}`;
    case 'addresses':
      return `${inside(check.device)} ip addr show dev ${innerName(check.device)}`;
    case 'route':
      return `${inside(check.device)} ip ${check.gateway.includes(':') ? '-6 ' : ''}route show default`;
    case 'nat':
      return `ip netns exec ${routerNamespace(check.router.id)} ${NAT_COMMANDS[check.part]}`;
    case 'tunnel':
      return `ip -d link show dev ${tunnelName(check.network)}`;
    case 'fdb':
    case 'fdb-peer':
    case 'fdb-table':
      return `bridge fdb show dev ${tunnelName(check.network)}`;
    case 'underlay':
      return `ping -c 3 -M do -s ${check.mtu - IP_AND_ICMP} ${check.vtep}`;
    case 'filter':
      return `${check.rule?.ethertype === 'IPv6' ? 'ip6tables' : 'iptables'} -S maru-i${check.port.id.slice(0, 11)}`;
    case 'members':
      return `ipset list ${memberSetName(check.family, check.group_id, check.network_id)}`;
    case 'tracking':
      return [
        `nft list map inet maru ${check.network.type === 'flat' ? 'provider_zones' : 'zones'}`,
        TABLE_FILL,
        ...(check.address === null ? [] : [`conntrack -L -d ${check.address}`]),
      ].join('; ');
    case 'translations': {
      const run = `ip netns exec ${routerNamespace(check.router_id)}`;
      const list = check.floating ? `; ${run} conntrack -L -d ${check.floating.address}` : '';
      return `${run} ${TABLE_FILL}${list}`;
    }
    case 'anti-spoofing':
      return `nft list table bridge maru | grep ${tapName(check.port.id)}`;
    case 'trusted':
      return 'nft list set bridge maru trusted';
    case 'shared':
      return `${check.family === 6 ? 'ip6tables' : 'iptables'} -S FORWARD; sysctl net.bridge.bridge-nf-call-${check.family === 6 ? 'ip6tables' : 'iptables'}; nft list table bridge maru`;
    case 'guest':
      return `virsh domstate ${check.server_id}`;
    case 'dnsmasq':
      return `ip netns pids ${dhcpNamespace(check.network_id)} | xargs -r ps -o pid,args -p`;
    case 'neighbour':
      return `${inside(check.device)} ping -c 3 -I ${innerName(check.device)} ${check.address}`;
  }
}

const TABLE_FILL = 'sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max';

/** IPv4 and ICMP headers, which are not part of ping's `-s`. */
const IP_AND_ICMP = 28;

const NAT_COMMANDS = {
  dnat: 'iptables -t nat -S maru-PREROUTING',
  snat: 'iptables -t nat -S maru-float-snat',
  forward: 'iptables -S',
  forward6: 'ip6tables -S',
} as const;

function inside(netns: NamespaceRef): string {
  return `ip netns exec ${namespaceName(netns)}`;
}

function tunnelName(network: Segment): string {
  return vxlanName(network.segmentation_id ?? 0);
}
