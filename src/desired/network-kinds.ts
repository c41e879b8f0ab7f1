import { groupBy } from '../group-by.js';
import { subnetsOfNetworks } from '../store/network/network.js';
import { presences } from '../store/network/placed.js';
import { groupsOfPorts } from '../store/network/port.js';
import { findRows } from '../store/network/rows.js';
import {
  addressesWithSubnets,
  dhcpPorts,
  endpoints,
  guestPorts,
  routedFloatingIps,
  routerPorts,
  routersOfHosts,
  underlayAddresses,
  withdrawalsOfHosts,
} from '../store/network/spec-rows.js';
import { dhcpObject } from './dhcp.js';
import {
  aroundHost,
  dependencies,
  ofFloatingIp,
  ofNetwork,
  ofPort,
  ofRouter,
  ofSubnet,
  routersOfNetwork,
  routersOfSubnet,
} from './finders.js';
import { groupMembersKind, securityGroupKind } from './group-kinds.js';
import { byHost, distinct } from './groups.js';
import { type AnyHostKind, batched, type HostKind } from './kind.js';
import { networkObject } from './network.js';
import { portObject } from './port.js';
import { routerObject, withdrawnRouter } from './router.js';

/** Networks with a guest or a router on the host. */
export const networkKind: HostKind<'network'> = batched({
  kind: 'network',
  ...dependencies({ network: ofNetwork, 'network-ports': ofNetwork, host: aroundHost }),
  async objectsOfHosts(db, hostIds) {
    const here = await presences(db, { hostIds });
    const networkIds = distinct(here, (row) => row.network_id);
    const networks = new Map((await findRows(db, 'network', networkIds)).map((row) => [row.id, row]));
    const present = await presences(db, { networkIds });
    const underlay = await underlayAddresses(
      db,
      distinct(present, (row) => row.host_id),
    );
    const ports = groupBy(await endpoints(db, networkIds), (port) => port.network_id);
    const hostsOf = groupBy(present, (row) => row.network_id);
    return byHost(here, (own, hostId) =>
      own.flatMap(({ network_id }) => {
        const network = networks.get(network_id);
        if (!network) return [];
        const there = (hostsOf.get(network_id) ?? []).flatMap(({ host_id }) => {
          const underlay_ip = underlay.get(host_id);
          return underlay_ip === undefined ? [] : [{ host_id, underlay_ip }];
        });
        return [[network_id, networkObject(network, hostId, there, ports.get(network_id) ?? [])] as const];
      }),
    );
  },
});

/** DHCP of networks with guests on the host, and of those that a router of the host serves. */
export const dhcpKind: HostKind<'dhcp'> = batched({
  kind: 'dhcp',
  ...dependencies({ network: ofNetwork, subnet: ofSubnet, port: ofPort, router: ofRouter }),
  async objectsOfHosts(db, hostIds) {
    const guests = await guestPorts(db, hostIds);
    const routers = await routersOfHosts(db, hostIds);
    const hostOfRouter = new Map(routers.map((router) => [router.id, router.host_id]));
    const inner = (await routerPorts(db, [...hostOfRouter.keys()]))
      .filter((port) => port.device_owner === 'network:router_interface')
      .map((port) => ({ network_id: port.network_id, host_id: hostOfRouter.get(port.device_id)! }));
    const served = [...guests, ...inner];
    const networkIds = distinct(served, (row) => row.network_id);
    const servers = new Map((await dhcpPorts(db, networkIds)).map((port) => [port.network_id, port]));
    const networks = new Map((await findRows(db, 'network', [...servers.keys()])).map((n) => [n.id, n]));
    const subnets = groupBy(await subnetsOfNetworks(db, [...servers.keys()]), (subnet) => subnet.network_id);
    const portIds = [...guests, ...servers.values()].map((port) => port.id);
    const addresses = groupBy(await addressesWithSubnets(db, portIds), (address) => address.port_id ?? '');
    const guestsOf = groupBy(guests, (port) => `${port.host_id} ${port.network_id}`);
    return byHost(served, (own, hostId) =>
      distinct(own, (row) => row.network_id).flatMap((networkId) => {
        const [network, dhcpPort] = [networks.get(networkId), servers.get(networkId)];
        if (!network || !dhcpPort) return [];
        const here = guestsOf.get(`${hostId} ${networkId}`) ?? [];
        const object = dhcpObject({
          network,
          subnets: subnets.get(networkId) ?? [],
          dhcpPort,
          guests: here,
          addresses: [dhcpPort, ...here].flatMap((port) => addresses.get(port.id) ?? []),
        });
        return [[networkId, object] as const];
      }),
    );
  },
});

/** Guests' ports bound to the host. */
export const portKind: HostKind<'port'> = batched({
  kind: 'port',
  ...dependencies({ port: ofPort, network: ofNetwork }),
  async objectsOfHosts(db, hostIds) {
    const ports = await guestPorts(db, hostIds);
    const networkIds = distinct(ports, (port) => port.network_id);
    const mtus = new Map((await findRows(db, 'network', networkIds)).map(({ id, mtu }) => [id, mtu]));
    const portIds = distinct(ports, (port) => port.id);
    const addresses = groupBy(await addressesWithSubnets(db, portIds), (a) => a.port_id ?? '');
    const groups = groupBy(await groupsOfPorts(db, portIds), (group) => group.port_id);
    return byHost(ports, (own) =>
      own.map((port) => {
        const object = portObject(
          port,
          mtus.get(port.network_id) ?? 1500,
          (addresses.get(port.id) ?? []).map((address) => address.ip_address),
          (groups.get(port.id) ?? []).map((group) => group.security_group_id),
        );
        return [port.id, object] as const;
      }),
    );
  },
});

/** Routers placed on the host, and those that it has to give up. */
export const routerKind: HostKind<'router'> = batched({
  kind: 'router',
  ...dependencies({
    router: ofRouter,
    'floating-ip': ofFloatingIp,
    network: routersOfNetwork,
    subnet: routersOfSubnet,
  }),
  async objectsOfHosts(db, hostIds) {
    const routers = await routersOfHosts(db, hostIds);
    const routerIds = routers.map((router) => router.id);
    const all = await routerPorts(db, routerIds);
    const ports = groupBy(all, (port) => port.device_id);
    const portIds = all.map((port) => port.id);
    const addresses = groupBy(await addressesWithSubnets(db, portIds), (a) => a.port_id ?? '');
    const floating = groupBy(await routedFloatingIps(db, routerIds), (f) => f.router_id ?? '');
    const withdrawn = await withdrawalsOfHosts(db, hostIds);
    const leaving = byHost(withdrawn, (own) =>
      own.map(({ router_id, epoch }) => [router_id, withdrawnRouter(router_id, epoch)] as const),
    );
    const placed = byHost(routers, (own) =>
      own.map((router) => {
        const its = ports.get(router.id) ?? [];
        const object = routerObject({
          router,
          ports: its,
          addresses: its.flatMap((port) => addresses.get(port.id) ?? []),
          floatingIps: floating.get(router.id) ?? [],
        });
        return [router.id, object] as const;
      }),
    );
    for (const [hostId, objects] of leaving) {
      placed.set(hostId, new Map([...objects, ...(placed.get(hostId) ?? [])]));
    }
    return placed;
  },
});

/** Every kind of network object. */
export const networkKinds: readonly AnyHostKind[] = [
  networkKind,
  dhcpKind,
  portKind,
  securityGroupKind,
  groupMembersKind,
  routerKind,
];
