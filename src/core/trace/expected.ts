import { ipVersion } from '../../net/ip.js';
import type { RouterObject } from '../../protocol/objects.js';
import { guestHops, guestHost } from './expected-guest.js';
import { tunnelHops } from './expected-tunnel.js';
import { database, innerPort, Looked, objectOf, segmentOf, tracedAddress } from './hops.js';
import type { Hop, TraceHost, TraceScene } from './model.js';

/**
 * The way of a floating IP (or of a port's own address, from its router on) from outside to the guest and back, hop by hop: what
 * should be where, worked out from the database alone. It ends where the database itself says that there is no way on.
 */
export function expectedHops(scene: TraceScene): readonly Hop[] {
  const hops: Hop[] = [];
  const { floating, router } = scene;
  if (floating) {
    hops.push(floatingHop(scene));
    if (floating.fixed === null || !scene.port) return hops;
  }
  const port = portHop(scene);
  if (port) {
    hops.push(port);
    if ('verdict' in port.judge && port.judge.verdict.state === 'fail') return hops;
  }
  if (!router) return [...hops, ...(floating ? [noRouter(scene)] : guestHops(scene, null))];
  const placed = routerHop(scene);
  hops.push(placed.hop);
  if (!placed.at) return hops;
  const { host, body } = placed.at;
  const there = new Looked(host, `router/${router.id}`);
  const guest = guestHost(scene);
  hops.push(there.told(routerKeys(scene, body), "router's host"));
  hops.push(...(floating ? outsideHops(scene, there, body) : forwardHops(scene, there, body)));
  hops.push(...insideHops(scene, there, body));
  if (guest && guest.id !== host.id) hops.push(...tunnelHops(scene, host, guest, body));
  hops.push(...guestHops(scene, { host, body }));
  hops.push(...backHops(scene, there, body));
  return hops;
}

function floatingHop({ floating, port }: TraceScene): Hop {
  const { id, address, fixed, port_id } = floating!;
  const show = `openstack floating ip show ${id}`;
  if (fixed === null || port_id === null) {
    return database('floating IP', `floating-ip ${id}`, {
      state: 'fail',
      detail: `${address} is not associated with a port`,
      show,
      mend: `openstack server add floating ip SERVER ${address}`,
    });
  }
  return database('floating IP', null, {
    state: port ? 'ok' : 'fail',
    detail: port ? `${address} ↔ ${fixed} of port ${port_id}` : `its port ${port_id} is gone`,
    show,
  });
}

/** Whether there is a guest behind the port, and where. */
function portHop(scene: TraceScene): Hop | null {
  const { port, server, hosts } = scene;
  if (!port) return null;
  const show = `openstack port show ${port.id}`;
  const fail = (detail: string, mend?: string) =>
    database('port', null, { state: 'fail', detail, show, ...(mend ? { mend } : {}) });
  if (!port.admin_state_up) {
    return fail(`port ${port.id} is administratively down`, `openstack port set --enable ${port.id}`);
  }
  if (!server) return fail(`port ${port.id} is plugged into no server`);
  const explain = `maru server explain ${server.id}`;
  if (port.host_id === null || !hosts.has(port.host_id))
    return fail(`server ${server.name} (${server.status}) is on no host`, explain);
  if (server.power !== 'running') {
    const start = `openstack server start ${server.id}`;
    return fail(`server ${server.name} (${server.status}) is not meant to run`, start);
  }
  const host = hosts.get(port.host_id)!.name;
  const detail = `port ${port.id} of server ${server.name} (${server.status}) on ${host}`;
  return database('port', null, { state: 'ok', detail, show });
}

function noRouter({ floating }: TraceScene): Hop {
  return database('router', null, {
    state: 'fail',
    detail: `no router translates ${floating!.address}`,
    show: `openstack floating ip show ${floating!.id}`,
  });
}

interface PlacedRouter {
  readonly host: TraceHost;
  readonly body: RouterObject;
}

function routerHop(scene: TraceScene): { hop: Hop; at: PlacedRouter | null } {
  const router = scene.router!;
  const show = `maru router show ${router.id}`;
  const fail = (detail: string, mend?: string) => ({
    hop: database('router', `router/${router.id}`, {
      state: 'fail',
      detail,
      show,
      ...(mend ? { mend } : {}),
    }),
    at: null,
  });
  if (!router.admin_state_up) {
    return fail(`router ${router.id} is administratively down`, `openstack router set --enable ${router.id}`);
  }
  const host = router.host_id === null ? undefined : scene.hosts.get(router.host_id);
  if (!host) {
    return fail(
      `router ${router.id} is on no host`,
      'maru host list: is there one with its provider network?',
    );
  }
  const body = objectOf(host.spec, 'router', router.id);
  if (!body || body.withdrawn) return fail(`router ${router.id} leaves ${host.name}: it is being moved`);
  if (scene.floating && !body.external) {
    return fail(
      `router ${router.id} has no external gateway`,
      `openstack router set --external-gateway NETWORK ${router.id}`,
    );
  }
  if (scene.port && !innerPort(scene, body)) {
    return fail(
      `router ${router.id} has no interface in the network ${scene.port.network_id} of the port`,
      `openstack router add subnet ${router.id} SUBNET`,
    );
  }
  const moving = router.next_host_id === null ? '' : ', about to move';
  const detail = `router ${router.id} on ${host.name}${moving}`;
  return {
    hop: database('router', `router/${router.id}`, { state: 'ok', detail, show }),
    at: { host, body },
  };
}

function routerKeys({ port }: TraceScene, router: RouterObject): `${'router' | 'network'}/${string}`[] {
  return [
    `router/${router.id}`,
    ...(router.external ? [`network/${router.external.network_id}` as const] : []),
    ...(port ? [`network/${port.network_id}` as const] : []),
  ];
}

/** From the wire to the translated address. */
function outsideHops(scene: TraceScene, there: Looked, router: RouterObject): Hop[] {
  const external = router.external!;
  const network = segmentOf(there.host.spec, external.network_id);
  const ref = { of: 'router', id: router.id, role: 'gateway', port_id: external.port_id } as const;
  const { address, fixed } = scene.floating!;
  const only = {
    ...router,
    floating_ips: router.floating_ips.filter((f) => f.floating_ip_address === address),
  };
  const gateway = external.gateways.find((one) => ipVersion(one) === 4);
  return [
    ...(network
      ? [
          there.hop('external bridge', { kind: 'bridge', network }),
          ...(network.type === 'flat' ? [there.hop('uplink', { kind: 'uplink' as const, network })] : []),
        ]
      : []),
    there.namespace('router', router.id),
    ...(network
      ? [
          there.hop("gateway's plug", {
            kind: 'plug',
            port_id: external.port_id,
            network,
            carrier: false,
          }),
        ]
      : []),
    there.hop("gateway's port security", { kind: 'trusted', port_ids: [external.port_id] }),
    there.hop('gateway device', { kind: 'device', device: ref, mac: external.mac }),
    there.hop("gateway's address", { kind: 'addresses', device: ref, addresses: external.addresses }),
    there.hop('floating address', { kind: 'addresses', device: ref, addresses: [`${address}/32`] }),
    ...(gateway ? [there.hop('default route', { kind: 'route' as const, device: ref, gateway })] : []),
    ...(gateway
      ? [
          there.hop('external gateway', {
            kind: 'neighbour' as const,
            device: ref,
            address: gateway,
            mac: null,
          }),
        ]
      : []),
    there.hop(`DNAT to ${fixed}`, { kind: 'nat', part: 'dnat', router: only }),
    there.hop('forwarding rules', { kind: 'nat', part: 'forward', router: only }),
    there.hop("router's connections", {
      kind: 'translations',
      router_id: router.id,
      floating: fixed === null ? null : { address, fixed },
    }),
  ];
}

/** What a router does to packets for an address of its own networks: it passes them on. */
function forwardHops(scene: TraceScene, there: Looked, router: RouterObject): Hop[] {
  const version = ipVersion(tracedAddress(scene) ?? '');
  const only = { ...router, floating_ips: [] };
  return [
    there.namespace('router', router.id),
    ...(version === 6
      ? [
          there.hop('IPv6 forwarding rules', {
            kind: 'nat' as const,
            part: 'forward6' as const,
            router: only,
          }),
        ]
      : []),
    there.hop("router's connections", { kind: 'translations', router_id: router.id, floating: null }),
  ];
}

/** The router's end of the tenant network. */
function insideHops(scene: TraceScene, there: Looked, router: RouterObject): Hop[] {
  const port = innerPort(scene, router);
  const network = port && segmentOf(there.host.spec, port.network_id);
  if (!port || !network) return [];
  const ref = { of: 'router', id: router.id, role: 'interface', port_id: port.port_id } as const;
  return [
    there.hop('router interface', { kind: 'device', device: ref, mac: port.mac }),
    there.hop("router's address", { kind: 'addresses', device: ref, addresses: port.addresses }),
    there.hop('bridge', { kind: 'bridge', network }, `network/${network.id}`),
    there.hop("router's plug", { kind: 'plug', port_id: port.port_id, network, carrier: false }),
    there.hop("router's port security", { kind: 'trusted', port_ids: [port.port_id] }),
  ];
}

/** What comes after the guest: does it answer, and is its answer translated? */
function backHops(scene: TraceScene, there: Looked, router: RouterObject): Hop[] {
  const { floating, port } = scene;
  const inner = innerPort(scene, router);
  if (!inner || !port) return [];
  const address = tracedAddress(scene);
  const ref = { of: 'router', id: router.id, role: 'interface', port_id: inner.port_id } as const;
  return [
    ...(address
      ? [there.hop('guest answers', { kind: 'neighbour' as const, device: ref, address, mac: port.mac })]
      : []),
    ...(floating
      ? [
          there.hop(`SNAT to ${floating.address}`, {
            kind: 'nat' as const,
            part: 'snat' as const,
            router: {
              ...router,
              floating_ips: router.floating_ips.filter((f) => f.floating_ip_address === floating.address),
            },
          }),
        ]
      : []),
    there.hop('reports', { kind: 'reported', objects: routerKeys(scene, router) }),
  ];
}
