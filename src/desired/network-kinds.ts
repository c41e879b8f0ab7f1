import { subnetsOfNetworks } from '../store/network/network.js';
import { networksOnHost, presences } from '../store/network/placed.js';
import { groupsOfPorts } from '../store/network/port.js';
import { findRows } from '../store/network/rows.js';
import { rulesOfGroups } from '../store/network/security-group.js';
import {
  addressesWithSubnets,
  dhcpPorts,
  endpoints,
  groupMembers,
  guestPorts,
  neighbourNetworks,
  routedFloatingIps,
  routerPorts,
  routersOfHost,
  underlayAddresses,
} from '../store/network/spec-rows.js';
import type { Reader } from '../store/store.js';
import { dhcpObject } from './dhcp.js';
import { groupMembersId, groupMembersObject } from './group-members.js';
import type { AnyHostKind, HostKind } from './kind.js';
import { networkObject } from './network.js';
import { hostsOfNetworkChange as hostsOf } from './network-hosts.js';
import { portObject } from './port.js';
import { routerObject } from './router.js';
import { securityGroupObject } from './security-group.js';

/** Networks with a guest or a router on the host. */
export const networkKind: HostKind<'network'> = {
  kind: 'network',
  hostsOf,
  async objects(db, hostId) {
    const ids = await networksOnHost(db, hostId);
    const networks = await findRows(db, 'network', ids);
    const present = await presences(db, { networkIds: ids });
    const underlay = await underlayAddresses(db, [...new Set(present.map((p) => p.host_id))]);
    const ports = groupBy(await endpoints(db, ids), (port) => port.network_id);
    const hosts = groupBy(present, (p) => p.network_id);
    return byId(networks, (network) => {
      const there = (hosts.get(network.id) ?? []).flatMap(({ host_id }) => {
        const underlay_ip = underlay.get(host_id);
        return underlay_ip === undefined ? [] : [{ host_id, underlay_ip }];
      });
      return networkObject(network, hostId, there, ports.get(network.id) ?? []);
    });
  },
};

/** DHCP of networks with guests on the host, and of those that a router of the host serves. */
export const dhcpKind: HostKind<'dhcp'> = {
  kind: 'dhcp',
  hostsOf,
  async objects(db, hostId) {
    const guests = await guestPorts(db, hostId);
    const routers = await routersOfHost(db, hostId);
    const inner = (await routerPorts(db, ids(routers))).filter(
      (port) => port.device_owner === 'network:router_interface',
    );
    const servers = await dhcpPorts(db, [...new Set([...guests, ...inner].map((port) => port.network_id))]);
    const networkIds = servers.map((port) => port.network_id);
    const networks = new Map((await findRows(db, 'network', networkIds)).map((n) => [n.id, n]));
    const subnets = groupBy(await subnetsOfNetworks(db, networkIds), (subnet) => subnet.network_id);
    const addresses = await addressesWithSubnets(db, ids([...guests, ...servers]));
    const addressesOf = groupBy(addresses, (address) => address.port_id ?? '');
    const guestsOf = groupBy(guests, (port) => port.network_id);
    const objects = new Map<string, ReturnType<typeof dhcpObject>>();
    for (const dhcpPort of servers) {
      const network = networks.get(dhcpPort.network_id);
      if (!network) continue;
      const own = guestsOf.get(network.id) ?? [];
      objects.set(
        network.id,
        dhcpObject({
          network,
          subnets: subnets.get(network.id) ?? [],
          dhcpPort,
          guests: own,
          addresses: [dhcpPort, ...own].flatMap((port) => addressesOf.get(port.id) ?? []),
        }),
      );
    }
    return objects;
  },
};

/** Guests' ports bound to the host. */
export const portKind: HostKind<'port'> = {
  kind: 'port',
  hostsOf,
  async objects(db, hostId) {
    const ports = await guestPorts(db, hostId);
    const networks = await findRows(db, 'network', [...new Set(ports.map((port) => port.network_id))]);
    const mtus = new Map(networks.map((network) => [network.id, network.mtu]));
    const addresses = groupBy(await addressesWithSubnets(db, ids(ports)), (a) => a.port_id ?? '');
    const groups = groupBy(await groupsOfPorts(db, ids(ports)), (group) => group.port_id);
    return byId(ports, (port) =>
      portObject(
        port,
        mtus.get(port.network_id) ?? 1500,
        (addresses.get(port.id) ?? []).map((address) => address.ip_address),
        (groups.get(port.id) ?? []).map((group) => group.security_group_id),
      ),
    );
  },
};

/** Groups that ports of the host use. */
export const securityGroupKind: HostKind<'security-group'> = {
  kind: 'security-group',
  hostsOf,
  async objects(db, hostId) {
    const { groupIds } = await filters(db, hostId);
    const groups = await findRows(db, 'security_group', groupIds);
    const rules = groupBy(await rulesOfGroups(db, groupIds), (rule) => rule.security_group_id);
    return byId(groups, (group) => securityGroupObject(group, rules.get(group.id) ?? []));
  },
};

/** Members of the groups that rules of the host's ports name, one object per group and network of such a port. */
export const groupMembersKind: HostKind<'group-members'> = {
  kind: 'group-members',
  hostsOf,
  async objects(db, hostId) {
    const { groupIds, networksOf } = await filters(db, hostId);
    const wanted = new Map<string, { groupId: string; networkId: string }>();
    for (const rule of await rulesOfGroups(db, groupIds)) {
      const groupId = rule.remote_group_id;
      if (groupId === null) continue;
      for (const networkId of networksOf.get(rule.security_group_id) ?? []) {
        wanted.set(groupMembersId(groupId, networkId), { groupId, networkId });
      }
    }
    const values = [...wanted.values()];
    const members = groupBy(
      await groupMembers(db, [...new Set(values.map((value) => value.groupId))]),
      (row) => row.security_group_id,
    );
    const joined = await neighbourNetworks(db, [...new Set(values.map((value) => value.networkId))]);
    const neighbours = groupBy(joined, (row) => row.network_id);
    return new Map(
      [...wanted].map(([id, { groupId, networkId }]) => {
        const near = new Set((neighbours.get(networkId) ?? []).map((row) => row.neighbour_id));
        return [id, groupMembersObject(groupId, networkId, near, members.get(groupId) ?? [])];
      }),
    );
  },
};

/** Routers placed on the host. */
export const routerKind: HostKind<'router'> = {
  kind: 'router',
  hostsOf,
  async objects(db, hostId) {
    const routers = await routersOfHost(db, hostId);
    const all = await routerPorts(db, ids(routers));
    const ports = groupBy(all, (port) => port.device_id);
    const addresses = groupBy(await addressesWithSubnets(db, ids(all)), (a) => a.port_id ?? '');
    const floating = groupBy(await routedFloatingIps(db, ids(routers)), (f) => f.router_id ?? '');
    return byId(routers, (router) => {
      const own = ports.get(router.id) ?? [];
      return routerObject({
        router,
        ports: own,
        addresses: own.flatMap((port) => addresses.get(port.id) ?? []),
        floatingIps: floating.get(router.id) ?? [],
      });
    });
  },
};

/** Every kind of network object. */
export const networkKinds: readonly AnyHostKind[] = [
  networkKind,
  dhcpKind,
  portKind,
  securityGroupKind,
  groupMembersKind,
  routerKind,
];

/** Groups that filter the host's ports, and the networks on which each does. */
async function filters(db: Reader, hostId: string) {
  const ports = (await guestPorts(db, hostId)).filter((port) => port.port_security_enabled === 1);
  const networkOfPort = new Map(ports.map((port) => [port.id, port.network_id]));
  const networksOf = new Map<string, Set<string>>();
  for (const { port_id, security_group_id } of await groupsOfPorts(db, ids(ports))) {
    const networks = networksOf.get(security_group_id) ?? new Set();
    networksOf.set(security_group_id, networks.add(networkOfPort.get(port_id)!));
  }
  return { groupIds: [...networksOf.keys()], networksOf };
}

function ids(rows: readonly { readonly id: string }[]): string[] {
  return rows.map((row) => row.id);
}

function byId<R extends { readonly id: string }, B>(rows: readonly R[], body: (row: R) => B): Map<string, B> {
  return new Map(rows.map((row) => [row.id, body(row)]));
}

function groupBy<T>(rows: readonly T[], key: (row: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group) group.push(row);
    else groups.set(key(row), [row]);
  }
  return groups;
}
