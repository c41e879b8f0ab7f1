import type { ObjectKey, RouterObject, Spec } from '../../protocol/objects.js';
import type { NamespaceRef } from '../../protocol/trace.js';
import { Looked, objectOf, segmentOf } from './hops.js';
import type { Hop, TraceHost } from './model.js';

type RouterPort = RouterObject['interfaces'][number];

/** Everything that exists for a network on a host, as things to be looked at: worked out from what the host should have. */
export function networkObjects(host: TraceHost, networkId: string): readonly Hop[] {
  const { spec } = host;
  const key: ObjectKey = `network/${networkId}`;
  const there = new Looked(host, key);
  const network = segmentOf(spec, networkId);
  const body = objectOf(spec, 'network', networkId);
  const keys = networkKeys(spec, networkId);
  const hops = [there.told(keys, 'agent')];
  if (!network || !body) return hops;
  hops.push(there.hop('bridge', { kind: 'bridge', network }));
  if (network.type === 'flat') hops.push(there.hop('uplink', { kind: 'uplink', network }));
  if (network.type === 'vxlan') {
    hops.push(there.hop('tunnel', { kind: 'tunnel', network }));
    // of however many hosts and ports: what it should have, the agent knows, and that it knows the right thing is asked above
    const { peers, remote_ports } = body;
    const what = `flooding to ${peers.length} host(s), ${remote_ports.length} MAC(s)`;
    hops.push(there.hop(what, { kind: 'fdb-table', network }));
  }
  hops.push(...dhcpObjects(host, networkId));
  for (const router of bodiesOf(spec, 'router')) hops.push(...routerObjects(host, router, networkId));
  for (const port of bodiesOf(spec, 'port')) {
    if (port.network_id !== networkId) continue;
    const own = new Looked(host, `port/${port.id}`);
    const groups = port.security_group_ids.flatMap((id) => objectOf(spec, 'security-group', id) ?? []);
    const dhcp = objectOf(spec, 'dhcp', networkId);
    const name = `${port.fixed_ips[0] ?? port.mac}:`;
    hops.push(
      own.hop(`${name} tap`, { kind: 'plug', port_id: port.id, network, carrier: false }),
      own.hop(`${name} security group chains`, {
        kind: 'filter',
        port,
        groups,
        dhcp: dhcp && { addresses: dhcp.addresses, mac: dhcp.mac },
        rule: null,
      }),
      own.hop(`${name} anti-spoofing`, { kind: 'anti-spoofing', port }),
    );
  }
  hops.push(there.hop('reports', { kind: 'reported', objects: keys }));
  return hops;
}

/** Keys of a spec's objects that are of the network. */
export function networkKeys(spec: Spec, networkId: string): ObjectKey[] {
  const own: ObjectKey[] = [`network/${networkId}`, `dhcp/${networkId}`];
  for (const port of bodiesOf(spec, 'port')) if (port.network_id === networkId) own.push(`port/${port.id}`);
  for (const router of bodiesOf(spec, 'router'))
    if (portsOf(router).some(({ port }) => port.network_id === networkId)) own.push(`router/${router.id}`);
  return own.filter((key) => spec[key] !== undefined);
}

function dhcpObjects(host: TraceHost, networkId: string): Hop[] {
  const dhcp = objectOf(host.spec, 'dhcp', networkId);
  const network = segmentOf(host.spec, networkId);
  if (!dhcp || !network) return [];
  const there = new Looked(host, `dhcp/${networkId}`);
  const device = { of: 'dhcp', id: networkId, role: 'dhcp', port_id: dhcp.port_id } as const;
  return [
    there.namespace('dhcp', networkId),
    there.hop('DHCP device', { kind: 'device', device, mac: dhcp.mac }),
    there.hop('DHCP address', { kind: 'addresses', device, addresses: dhcp.addresses }),
    there.hop('DHCP plug', { kind: 'plug', port_id: dhcp.port_id, network, carrier: false }),
    there.hop('DHCP server', { kind: 'dnsmasq', network_id: networkId }),
  ];
}

function routerObjects(host: TraceHost, router: RouterObject, networkId: string): Hop[] {
  const network = segmentOf(host.spec, networkId);
  const there = new Looked(host, `router/${router.id}`);
  const netns: NamespaceRef = { of: 'router', id: router.id };
  const own = portsOf(router).filter(({ port }) => port.network_id === networkId);
  if (!network || own.length === 0 || !router.admin_state_up) return [];
  return [
    there.namespace('router', router.id),
    ...own.flatMap(({ role, port }) => {
      const device = { ...netns, role, port_id: port.port_id };
      const name = role === 'gateway' ? 'gateway' : 'interface';
      return [
        there.hop(`router's ${name}`, { kind: 'device', device, mac: port.mac }),
        there.hop(`${name}'s address`, {
          kind: 'addresses',
          device,
          addresses: addressesOf(router, role, port),
        }),
        there.hop(`${name}'s plug`, { kind: 'plug', port_id: port.port_id, network, carrier: false }),
      ];
    }),
  ];
}

/** A gateway device has the floating IPs as well. */
function addressesOf(router: RouterObject, role: 'gateway' | 'interface', port: RouterPort): string[] {
  const floating = router.floating_ips.map(({ floating_ip_address }) => `${floating_ip_address}/32`);
  return role === 'gateway' ? [...new Set([...port.addresses, ...floating])] : [...port.addresses];
}

function portsOf(router: RouterObject): { role: 'gateway' | 'interface'; port: RouterPort }[] {
  return [
    ...router.interfaces.map((port) => ({ role: 'interface' as const, port })),
    ...(router.external ? [{ role: 'gateway' as const, port: router.external }] : []),
  ];
}

function bodiesOf<K extends 'router' | 'port'>(spec: Spec, kind: K) {
  return (Object.keys(spec) as ObjectKey[])
    .filter((key) => key.startsWith(`${kind}/`))
    .flatMap((key) => objectOf(spec, kind, key.slice(kind.length + 1)) ?? []);
}
