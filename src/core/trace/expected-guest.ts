import { ipVersion } from '../../net/ip.js';
import type { GroupMembersObject, ObjectKey, RouterObject, SecurityRule } from '../../protocol/objects.js';
import { admission } from './admits.js';
import { database, Looked, objectOf, segmentOf, tracedAddress } from './hops.js';
import type { Hop, TraceHost, TraceScene } from './model.js';

/** The host that the guest's port is bound to. */
export function guestHost({ port, hosts }: TraceScene): TraceHost | null {
  return port?.host_id ? (hosts.get(port.host_id) ?? null) : null;
}

/** On the guest's host: bridge, domain, tap, filters. `router`: null where there is none before it. */
export function guestHops(
  scene: TraceScene,
  router: { readonly host: TraceHost; readonly body: RouterObject } | null,
): readonly Hop[] {
  const host = guestHost(scene);
  if (!host || !scene.port) return [];
  const { port, server, traffic } = scene;
  const key: ObjectKey = `port/${port.id}`;
  const there = new Looked(host, key);
  const network = segmentOf(host.spec, port.network_id);
  const body = objectOf(host.spec, 'port', port.id);
  const keys: ObjectKey[] = [key, `network/${port.network_id}`, `server/${server?.id}`];
  const hops: Hop[] = [];
  const address = tracedAddress(scene);
  const version = (address === null ? null : ipVersion(address)) ?? 4;
  if (router?.host.id === host.id || router === null) hops.push(there.told(keys, "guest's host"));
  if (!network || !body) return hops;
  // the router's own host has been looked at already
  if (router?.host.id !== host.id)
    hops.push(there.hop('bridge', { kind: 'bridge', network }, `network/${network.id}`));
  if (server) hops.push(there.hop('guest', { kind: 'guest', server_id: server.id }, `server/${server.id}`));
  hops.push(
    there.hop("guest's tap", { kind: 'plug', port_id: port.id, network, carrier: true }),
    there.hop('firewall', { kind: 'shared', ...(version === 6 ? { family: 6 as const } : {}) }),
  );
  const groups = body.security_group_ids.flatMap((id) => objectOf(host.spec, 'security-group', id) ?? []);
  const membersOf = (id: string) =>
    objectOf(host.spec, 'group-members', `${id}:${port.network_id}`) ?? undefined;
  const admitted = admission(body, groups, membersOf, traffic, version);
  hops.push(
    database('security groups', key, {
      state: admitted.state,
      detail: admitted.detail,
      show: `openstack security group rule list --ingress ${body.security_group_ids[0] ?? ''}`.trim(),
      ...(admitted.state === 'fail' ? { mend: createRule(scene, body.security_group_ids[0]) } : {}),
    }),
  );
  const dhcp = objectOf(host.spec, 'dhcp', port.network_id);
  hops.push(
    there.hop('security group chains', {
      kind: 'filter',
      port: body,
      groups,
      dhcp: dhcp && { addresses: dhcp.addresses, mac: dhcp.mac },
      rule: admitted.rule,
    }),
    ...(admitted.rule ? memberHops(there, admitted.rule, port.network_id, traffic.from, membersOf) : []),
    there.hop('connection tracking', { kind: 'tracking', network, address }, `network/${network.id}`),
    there.hop('anti-spoofing', { kind: 'anti-spoofing', port: body }),
    there.hop("guest's reports", { kind: 'reported', objects: keys }),
  );
  return hops;
}

/** More is not asked of a host at once. */
const MOST_MEMBERS = 2_000;

/** A rule with a remote group admits whom a set on the host has. */
function memberHops(
  there: Looked,
  { remote_group_id: group_id, ethertype }: SecurityRule,
  network_id: string,
  from: string | null,
  membersOf: (groupId: string) => GroupMembersObject | undefined,
): Hop[] {
  if (group_id === null) return [];
  const [family, which] = ethertype === 'IPv6' ? ([6, 'ipv6'] as const) : ([4, 'ipv4'] as const);
  const members = from === null ? (membersOf(group_id)?.[which] ?? []).slice(0, MOST_MEMBERS) : [];
  return [
    there.hop(
      'remote group',
      { kind: 'members', group_id, network_id, family, members, address: from },
      `group-members/${group_id}:${network_id}`,
    ),
  ];
}

function createRule({ traffic: { protocol, port, from } }: TraceScene, groupId: string | undefined): string {
  return [
    'openstack security group rule create --ingress',
    `--protocol ${protocol ?? 'icmp'}`,
    ...(port === null || protocol === 'icmp' ? [] : [`--dst-port ${port}`]),
    ...(from === null ? [] : [`--remote-ip ${from}`]),
    groupId ?? 'GROUP',
  ].join(' ');
}
