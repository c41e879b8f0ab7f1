import { ipVersion } from '../../net/ip.js';
import type { ObjectKey, RouterObject } from '../../protocol/objects.js';
import { admission } from './admits.js';
import { database, Looked, objectOf, segmentOf } from './hops.js';
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
  const { port, server, floating, traffic } = scene;
  const key: ObjectKey = `port/${port.id}`;
  const there = new Looked(host, key);
  const network = segmentOf(host.spec, port.network_id);
  const body = objectOf(host.spec, 'port', port.id);
  const keys: ObjectKey[] = [key, `network/${port.network_id}`, `server/${server?.id}`];
  const hops: Hop[] = [];
  if (router?.host.id === host.id || router === null) hops.push(there.told(keys, "guest's host"));
  if (!network || !body) return hops;
  // the router's own host has been looked at already
  if (router?.host.id !== host.id)
    hops.push(there.hop('bridge', { kind: 'bridge', network }, `network/${network.id}`));
  if (server) hops.push(there.hop('guest', { kind: 'guest', server_id: server.id }, `server/${server.id}`));
  hops.push(
    there.hop("guest's tap", { kind: 'plug', port_id: port.id, network, carrier: true }),
    there.hop('firewall', { kind: 'shared' }),
  );
  const groups = body.security_group_ids.flatMap((id) => objectOf(host.spec, 'security-group', id) ?? []);
  const membersOf = (id: string) =>
    objectOf(host.spec, 'group-members', `${id}:${port.network_id}`) ?? undefined;
  const address = floating?.fixed ?? port.addresses[0] ?? '';
  const admitted = admission(body, groups, membersOf, traffic, ipVersion(address) ?? 4);
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
    there.hop('anti-spoofing', { kind: 'anti-spoofing', port: body }),
    there.hop("guest's reports", { kind: 'reported', objects: keys }),
  );
  return hops;
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
