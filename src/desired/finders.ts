import {
  hostsFilteringByGroup,
  hostsOfNetworks,
  hostsOfPort,
  hostsUsingGroup,
  networkOfSubnet,
  networksOnHost,
  routerHostsOfNetwork,
  routerOfFloatingIp,
  routerPlace,
} from '../store/network/placed.js';
import type { ChangeKind, Reader } from '../store/store.js';
import type { HostKind } from './kind.js';

/** Hosts by the id of a row that changed. */
export type Finder = (db: Reader, id: string) => Promise<readonly string[]>;

/**
 * `dependsOn` and `hostsOf` of a kind from one table of finders, so that the two cannot disagree. Rows that are gone are found by what
 * the writers record along with them: the network's ports, the groups' members, the router.
 */
export function dependencies(
  finders: Partial<Record<ChangeKind, Finder>>,
): Pick<HostKind, 'dependsOn' | 'hostsOf'> {
  return {
    dependsOn: Object.keys(finders) as ChangeKind[],
    hostsOf: async (db, { kind, id }) => (await finders[kind]?.(db, id)) ?? [],
  };
}

/** Hosts on which the network is live. */
export const ofNetwork: Finder = (db, id) => hostsOfNetworks(db, [id]);

export const ofSubnet: Finder = async (db, id) => {
  const networkId = await networkOfSubnet(db, id);
  return networkId ? await hostsOfNetworks(db, [networkId]) : [];
};

/** Hosts that the port is bound to. */
export const ofPort: Finder = hostsOfPort;

/** Hosts with a port in the group. */
export const ofGroup: Finder = hostsUsingGroup;

/** Hosts that let the group's members in. */
export const ofGroupMembers: Finder = hostsFilteringByGroup;

/** The router's own host, and those that it comes to or leaves. */
export const ofRouter: Finder = async (db, id) => {
  const { hostId, otherHostIds } = await routerPlace(db, id);
  return hostId ? [hostId, ...otherHostIds] : otherHostIds;
};

/** Hosts of the networks that the router joins. */
export const aroundRouter: Finder = async (db, id) =>
  await hostsOfNetworks(db, (await routerPlace(db, id)).networkIds);

export const routersOfNetwork: Finder = routerHostsOfNetwork;

export const routersOfSubnet: Finder = async (db, id) => {
  const networkId = await networkOfSubnet(db, id);
  return networkId ? await routerHostsOfNetwork(db, networkId) : [];
};

export const ofFloatingIp: Finder = async (db, id) => {
  const routerId = await routerOfFloatingIp(db, id);
  return routerId ? await ofRouter(db, routerId) : [];
};

/** A new tunnel endpoint concerns everyone who shares a network with it. */
export const aroundHost: Finder = async (db, id) => [
  id,
  ...(await hostsOfNetworks(db, await networksOnHost(db, id))),
];
